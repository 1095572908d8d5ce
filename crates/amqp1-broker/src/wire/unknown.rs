//! Link frames that are valid except for a described type that this broker does not know, for
//! example a transaction coordinator as target or a transactional state. They are read without it.
//! Thus the link can be refused, and the connection and its other links stay unaffected.

use bytes::{BufMut, BytesMut};
use fe2o3_amqp_types::performatives::Performative;

use super::scan;

/// Descriptor codes (AMQP 1.0 parts 2 and 3).
const ATTACH: u64 = 0x12;
const TRANSFER: u64 = 0x14;
const DISPOSITION: u64 = 0x15;
const RECEIVED: u64 = 0x23;
const MODIFIED: u64 = 0x27;
const SOURCE: u64 = 0x28;
const TARGET: u64 = 0x29;

/// Indexes of an attach's termini and of its unsettled deliveries.
const ATTACH_SOURCE: usize = 5;
const ATTACH_TARGET: usize = 6;
const ATTACH_UNSETTLED: usize = 7;
/// Index of a source's default outcome.
const DEFAULT_OUTCOME: usize = 8;
const TRANSFER_STATE: usize = 7;
const DISPOSITION_STATE: usize = 4;

/// A frame body without its unknown described types, and a phrase that names the first of them.
/// `None` if it has no unknown type, or if it is invalid in another way. The body must have passed
/// [`scan::check`].
pub(crate) fn left_out(body: &[u8]) -> Option<(Performative, String)> {
    let code = scan::descriptor(body, &[])?;
    let mut fields: Vec<&[u8]> = scan::items(body).collect();
    let suspects: &[(usize, Suspect)] = match code {
        ATTACH => &[
            (ATTACH_SOURCE, in_source),
            (ATTACH_TARGET, in_target),
            (ATTACH_UNSETTLED, in_unsettled),
        ],
        TRANSFER => &[(TRANSFER_STATE, in_state)],
        DISPOSITION => &[(DISPOSITION_STATE, in_state)],
        _ => return None,
    };
    let mut first = None;
    for (at, suspect) in suspects {
        if let Some(field) = fields.get_mut(*at) {
            if let Some(what) = suspect(field) {
                first.get_or_insert(what);
                *field = &[0x40];
            }
        }
    }
    let performative = serde_amqp::from_slice(&described(code, &fields)).ok()?;
    Some((performative, first?))
}

/// Names the unknown type in a field.
type Suspect = fn(&[u8]) -> Option<String>;

fn in_target(field: &[u8]) -> Option<String> {
    unless(field, "target", |code| code == TARGET)
}

fn in_source(field: &[u8]) -> Option<String> {
    unless(field, "source", |code| code == SOURCE).or_else(|| {
        let outcome = scan::items(field).nth(DEFAULT_OUTCOME)?;
        unless(outcome, "default outcome", is_state)
    })
}

fn in_unsettled(field: &[u8]) -> Option<String> {
    let states = scan::items(field).skip(1).step_by(2);
    states.filter_map(in_state).next()
}

fn in_state(field: &[u8]) -> Option<String> {
    unless(field, "delivery state", is_state)
}

fn is_state(code: u64) -> bool {
    (RECEIVED..=MODIFIED).contains(&code)
}

/// Names the type of a field; `None` if the descriptor is known or there is none.
fn unless(field: &[u8], what: &str, is_known: fn(u64) -> bool) -> Option<String> {
    if *field.first()? != 0 {
        return None;
    }
    match scan::descriptor(field, &[]) {
        Some(code) if is_known(code) => None,
        Some(0x30) => Some("a transaction coordinator".to_owned()),
        Some(0x33 | 0x34) => Some("the state of a transaction".to_owned()),
        Some(code) => Some(format!("a {what} of the type {code:#x}")),
        None => Some(format!("a {what} of a type with another name")),
    }
}

/// A described list with these fields.
fn described(code: u64, fields: &[&[u8]]) -> BytesMut {
    let size: usize = fields.iter().map(|field| field.len()).sum();
    let mut out = BytesMut::with_capacity(size + 12);
    out.put_slice(&[0x00, 0x53, code as u8, 0xd0]);
    out.put_u32(size as u32 + 4);
    out.put_u32(fields.len() as u32);
    for field in fields {
        out.put_slice(field);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn attach(source: &[u8], target: &[u8]) -> BytesMut {
        let fields: [&[u8]; 7] = [
            b"\xa1\x01l",
            b"\x43",
            b"\x42",
            b"\x40",
            b"\x40",
            source,
            target,
        ];
        described(ATTACH, &fields)
    }

    #[test]
    fn an_attach_is_read_without_what_is_not_known() {
        for (source, target, what) in [
            (&b"\x40"[..], &b"\x00\x53\x30\x45"[..], "coordinator"),
            (b"\x40", b"\x00\xa3\x01x\x45", "another name"),
            (b"\x00\x53\x77\x45", b"\x40", "source of the type 0x77"),
            (
                b"\x00\x53\x28\xc0\x0d\x09\x40\x40\x40\x40\x40\x40\x40\x40\x00\x53\x77\x45",
                b"\x40",
                "default outcome of the type 0x77",
            ),
        ] {
            let encoded = attach(source, target);
            assert_eq!(scan::check(&encoded, 0), Ok(encoded.len()), "{what}");
            let (performative, text) = left_out(&encoded).expect(what);
            assert!(text.contains(what), "{text}");
            let Performative::Attach(attach) = performative else {
                panic!("no attach");
            };
            assert_eq!((attach.name.as_str(), attach.handle.0), ("l", 0));
            assert!(attach.target.is_none() && attach.source.is_none());
        }
    }

    #[test]
    fn what_is_known_and_what_is_wrong_otherwise_is_left_alone() {
        for encoded in [
            attach(b"\x40", b"\x00\x53\x29\x45"),
            // A number instead of the address.
            attach(b"\x00\x53\x28\xc0\x02\x01\x44", b"\x40"),
            // No name.
            described(
                ATTACH,
                &[
                    b"\x40",
                    b"\x43",
                    b"\x42",
                    b"\x40",
                    b"\x40",
                    b"\x40",
                    b"\x00\x53\x30\x45",
                ],
            ),
            described(0x10, &[b"\xa1\x01c"]),
        ] {
            assert!(left_out(&encoded).is_none(), "{encoded:?}");
        }
    }

    #[test]
    fn states_of_transactions_are_named() {
        let state: &[u8] = b"\x00\x53\x34\xc0\x04\x01\xa0\x01x";
        let disposition: [&[u8]; 5] = [b"\x41", b"\x43", b"\x43", b"\x42", state];
        let (performative, what) = left_out(&described(DISPOSITION, &disposition)).unwrap();
        assert_eq!(what, "the state of a transaction");
        assert!(matches!(performative, Performative::Disposition(d) if d.state.is_none()));
        let transfer: [&[u8]; 8] = [
            b"\x43",
            b"\x43",
            b"\xa0\x01t",
            b"\x43",
            b"\x42",
            b"\x42",
            b"\x40",
            state,
        ];
        let (performative, _) = left_out(&described(TRANSFER, &transfer)).unwrap();
        assert!(matches!(performative, Performative::Transfer(t) if t.state.is_none()));
    }
}
