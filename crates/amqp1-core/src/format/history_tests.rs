#![allow(clippy::unwrap_used)]
use super::*;
use crate::format::PropertyMapping;
use crate::wire::write;

/// A message as RabbitMQ's quorum queues deliver it.
fn message(first_acquirer: bool, delivery_count: u32, annotations: &[(&str, i64)]) -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::HEADER);
    write::list(&mut out, |out| {
        write::bool(out, true);
        write::null(out);
        write::null(out);
        write::bool(out, first_acquirer);
        write::uint(out, delivery_count);
        5
    });
    write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
    write::map(&mut out, |out| {
        for (name, value) in annotations {
            write::symbol(out, name);
            write::long(out, *value);
        }
        annotations.len() as u32 * 2
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, b"x");
    out.into()
}

fn unaccounted(ledger: Ledger, delivery_count: u32, annotations: &[(&str, i64)]) -> u32 {
    History::peek(&message(false, delivery_count, annotations), ledger).unaccounted(ledger)
}

#[test]
fn a_first_delivery_has_no_history() {
    let annotations = [(ACQUIRED, 9)];
    let first = History::peek(&message(true, 0, &annotations), Ledger::All);
    assert_eq!(first, History::default());
    assert_eq!(first.unaccounted(Ledger::All), 0);
}

#[test]
fn what_failed_or_went_back_unseen_is_accounted_for() {
    let known = [(FAILED, 2), (RETURNED, 3)];
    // Exactly two failed and three were returned.
    let all = |acquired| [(ACQUIRED, acquired), known[0], known[1]];
    assert_eq!(unaccounted(Ledger::All, 2, &all(5)), 0);
    // One was lost with its connection, and the broker took one back.
    assert_eq!(unaccounted(Ledger::All, 3, &all(7)), 2);
    assert_eq!(unaccounted(Ledger::Failed, 3, &known), 1);
    assert_eq!(unaccounted(Ledger::None, 3, &known), 0);
    // A classic queue does not say how often a message was acquired.
    assert_eq!(unaccounted(Ledger::All, 3, &[]), 3);
}

#[test]
fn deliveries_that_the_delivery_count_leaves_out_are_those_that_were_taken_back() {
    let history = |delivery_count, acquired, returned| {
        let annotations = [(ACQUIRED, acquired), (RETURNED, returned)];
        let message = message(false, delivery_count, &annotations);
        History::peek(&message, Ledger::All).uncounted(Ledger::All)
    };
    assert_eq!(history(1, 4, 2), 1);
    assert_eq!(history(1, 1, 0), 0);
    assert_eq!(history(2, 1, 9), 0, "never below nothing");
}

#[test]
fn where_annotations_are_not_kept_properties_and_copies_tell() {
    let told = |delivery_count, properties: &[(&str, i64)]| {
        let mut out = message(false, delivery_count, &[(FAILED, 9), (ACQUIRED, 9)]).to_vec();
        out.truncate(out.len() - 6);
        write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
        write::map(&mut out, |out| {
            for (name, value) in properties {
                write::string(out, name);
                write::long(out, *value);
            }
            properties.len() as u32 * 2
        });
        let message = Bytes::from(out);
        let decoded = crate::format::decode(message.clone(), PropertyMapping::Typed).unwrap();
        let unaccounted = History::peek(&message, Ledger::Lost).unaccounted(Ledger::Lost);
        if delivery_count > 0 {
            assert_eq!(decoded.history.unaccounted(Ledger::Lost), unaccounted);
        }
        unaccounted
    };
    assert_eq!(told(3, &[]), 3);
    assert_eq!(told(3, &[(ABANDONED, 2)]), 1);
    assert_eq!(told(1, &[(ABANDONED, 2)]), 0, "never below nothing");
    assert_eq!(told(1, &[(LOST, 7)]), 8);
    // Nobody has had it: only the header is read.
    assert_eq!(told(0, &[(LOST, 7)]), 0);
}

#[test]
fn a_header_is_read_the_same_however_it_is_written() {
    let headers: [(&[u8], bool, u32); 7] = [
        (b"\xc0\x09\x05\x41\x50\x04\x40\x41\x52\x00", true, 0),
        (b"\xc0\x09\x05\x41\x50\x04\x40\x56\x01\x43", true, 0),
        (
            b"\xc0\x09\x05\x41\x40\x40\x42\x70\x00\x00\x00\x03",
            false,
            3,
        ),
        (
            b"\xd0\x00\x00\x00\x0a\x00\x00\x00\x05\x41\x40\x40\x42\x52\x02",
            false,
            2,
        ),
        (
            b"\xc0\x0a\x05\x41\x40\x70\x00\x00\x00\x01\x42\x52\x07",
            false,
            7,
        ),
        (b"\xc0\x03\x02\x41\x40", false, 0),
        (b"\x45", false, 0),
    ];
    for (header, first_acquirer, delivery_count) in headers {
        let mut bytes = b"\x00\x53\x70".to_vec();
        bytes.extend_from_slice(header);
        // Sets the size, which the examples leave open.
        if header[0] == 0xc0 {
            bytes[4] = (header.len() - 2) as u8;
        }
        write::descriptor(&mut bytes, section::MESSAGE_ANNOTATIONS);
        write::map(&mut bytes, |out| {
            write::symbol(out, ACQUIRED);
            write::long(out, 9);
            2
        });
        write::descriptor(&mut bytes, section::DATA);
        write::binary(&mut bytes, b"x");
        let message = Bytes::from(bytes);
        let parsed = Message::parse(message.clone()).unwrap().header().unwrap();
        assert_eq!(parsed.delivery_count, delivery_count, "{header:x?}");
        assert_eq!(parsed.first_acquirer, first_acquirer, "{header:x?}");
        let lost = History::peek(&message, Ledger::Lost);
        assert_eq!(lost.unaccounted(Ledger::Lost), delivery_count);
        let all = History::peek(&message, Ledger::All).unaccounted(Ledger::All);
        assert_eq!(all, if first_acquirer { 0 } else { 9 }, "{header:x?}");
    }
}

#[test]
fn what_is_no_message_has_no_history() {
    for bytes in [
        &b""[..],
        b"\x00",
        b"\x00\x53\x70",
        b"\x00\x53\x70\x45",
        b"garbage",
    ] {
        assert_eq!(
            History::peek(&Bytes::copy_from_slice(bytes), Ledger::All),
            History::default()
        );
    }
}
