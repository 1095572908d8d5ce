//! Corrects slightly invalid frames.
//!
//! rhea, on which Microsoft's SDK for JavaScript is built, encodes the keys of an error's info as
//! strings, where the standard requires symbols (AMQP 1.0 section 2.8.13). Strings and symbols
//! differ only in their format code.

use bytes::{Bytes, BytesMut};

use crate::wire::frame::HEADER;
use crate::wire::scan;

/// The descriptor code of a disposition.
const DISPOSITION: u64 = 0x15;

/// A disposition, with symbols as the keys of its maps; `None` for any other frame.
pub(crate) fn with_symbol_keys(frame: &Bytes) -> Option<Bytes> {
    let start = usize::from(*frame.get(4)?) * 4;
    let body = frame.get(start.max(HEADER)..)?;
    if scan::descriptor(body, &[]) != Some(DISPOSITION) {
        return None;
    }
    // This check ensures that lengths and nesting are valid below.
    scan::check(body, 0).ok()?;
    let mut frame = BytesMut::from(&frame[..]);
    put_right(frame.get_mut(start..)?, 0)?;
    Some(frame.freeze())
}

/// Corrects the value that begins at `at`.
fn put_right(buf: &mut [u8], mut at: usize) -> Option<()> {
    while *buf.get(at)? == 0 {
        at = scan::skip(buf, at + 1).ok()?;
    }
    let code = *buf.get(at)?;
    let (width, is_map) = match code {
        0xc0 => (1, false),
        0xc1 => (1, true),
        0xd0 => (4, false),
        0xd1 => (4, true),
        _ => return Some(()),
    };
    let end = scan::skip(buf, at).ok()?;
    let mut item = at + 1 + 2 * width;
    let mut is_key = is_map;
    while item < end {
        let next = scan::skip(buf, item).ok()?;
        match buf.get_mut(item)? {
            code @ (0xa1 | 0xb1) if is_key => *code |= 0x02,
            _ => put_right(buf, item)?,
        }
        is_key = is_map && !is_key;
        item = next;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use fe2o3_amqp_types::messaging::DeliveryState;
    use fe2o3_amqp_types::performatives::Performative;

    use super::*;
    use crate::wire::frame;

    /// A dead-lettering by @azure/service-bus 7.9.5.
    const FROM_SDK: &[u8] = b"\x00\x00\x00\x72\x02\x00\x00\x00\x00\x53\x15\xd0\x00\x00\x00\x62\x00\x00\x00\x05\x41\x43\x43\x42\x00\x53\x25\xd0\x00\x00\x00\x52\x00\x00\x00\x01\x00\x53\x1d\xd0\x00\x00\x00\x46\x00\x00\x00\x03\xa3\x19com.microsoft:dead-letter\x40\xd1\x00\x00\x00\x21\x00\x00\x00\x02\xa1\x10DeadLetterReason\xa1\x03why\x00\x00\x00\x00";

    #[test]
    fn the_keys_of_an_errors_info_become_symbols() {
        let mut sdk = FROM_SDK.to_vec();
        // Remove the bytes that pad the frame; they are not part of it.
        sdk.truncate(FROM_SDK.len() - 4);
        let map = sdk.iter().position(|b| *b == 0xd1).unwrap();
        let fix = |sdk: &mut Vec<u8>, at: usize| {
            let size = (sdk.len() - at - 4) as u32;
            sdk[at..at + 4].copy_from_slice(&size.to_be_bytes());
        };
        for at in [12, 28, 40, map + 1] {
            fix(&mut sdk, at);
        }
        let size = sdk.len() as u32;
        sdk[..4].copy_from_slice(&size.to_be_bytes());
        let sdk = Bytes::from(sdk);
        assert!(frame::decode(sdk.clone()).is_err());
        let right = frame::decode(with_symbol_keys(&sdk).unwrap()).unwrap();
        let Some(Performative::Disposition(disposition)) = right.performative else {
            panic!("no disposition");
        };
        let Some(DeliveryState::Rejected(rejected)) = disposition.state else {
            panic!("{disposition:?}");
        };
        let info = rejected.error.unwrap().info.unwrap();
        assert_eq!(info.get("DeadLetterReason"), Some(&"why".into()));
    }

    #[test]
    fn other_frames_are_left_alone() {
        for frame in [
            &b"\x00\x00\x00\x08\x02\x00\x00\x00"[..],
            b"",
            b"\0\0\0\x0c\x02\0\0\0\0\x53\x10\x45",
        ] {
            assert_eq!(with_symbol_keys(&Bytes::copy_from_slice(frame)), None);
        }
    }
}
