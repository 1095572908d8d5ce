//! Lock tokens: GUIDs, and their two byte orders.

/// A lock token, with its bytes in RFC 4122 order. AMQP's uuid type, and so `$management`, uses
/// this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LockToken(pub(crate) [u8; 16]);

impl LockToken {
    /// A new random token (RFC 4122 version 4).
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            // If the system's random source fails, uniqueness is enough.
            use std::sync::atomic::{AtomicU64, Ordering};
            static LAST: AtomicU64 = AtomicU64::new(1);
            let n = LAST.fetch_add(1, Ordering::Relaxed);
            bytes[8..].copy_from_slice(&n.to_be_bytes());
        }
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The token as a delivery-tag: .NET's `Guid.ToByteArray`, whose first three fields are
    /// little-endian.
    pub(crate) fn delivery_tag(self) -> [u8; 16] {
        swap(self.0)
    }
}

/// Converts between the two orders, in either direction.
fn swap(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delivery_tag_is_the_guid_in_dot_nets_order() {
        let token = LockToken([
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ]);
        let tag = token.delivery_tag();
        assert_eq!(
            tag,
            [
                0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff,
            ]
        );
        assert_eq!(swap(tag), token.0);
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(LockToken::random(), LockToken::random());
    }
}
