#![allow(clippy::unwrap_used)]
use super::*;
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
    History::peek(&message(false, delivery_count, annotations)).unaccounted(ledger)
}

#[test]
fn a_first_delivery_has_no_history() {
    let annotations = [(ACQUIRED, 9)];
    let first = History::peek(&message(true, 0, &annotations));
    assert_eq!(first, History::default());
    assert_eq!(first.unaccounted(Ledger::All), 0);
}

#[test]
fn what_failed_or_went_back_unseen_is_accounted_for() {
    let known = [(FAILED, 2), (RETURNED, 3)];
    // Two failed, three returned, and no more.
    let all = |acquired| [(ACQUIRED, acquired), known[0], known[1]];
    assert_eq!(unaccounted(Ledger::All, 2, &all(5)), 0);
    // One was lost with its connection, one the broker took back.
    assert_eq!(unaccounted(Ledger::All, 3, &all(7)), 2);
    assert_eq!(unaccounted(Ledger::Failed, 3, &known), 1);
    assert_eq!(unaccounted(Ledger::None, 3, &known), 0);
    // A classic queue does not say how often it was acquired.
    assert_eq!(unaccounted(Ledger::All, 3, &[]), 3);
}

#[test]
fn deliveries_that_the_delivery_count_leaves_out_are_those_that_were_taken_back() {
    let history = |delivery_count, acquired, returned| {
        let annotations = [(ACQUIRED, acquired), (RETURNED, returned)];
        History::peek(&message(false, delivery_count, &annotations)).uncounted(Ledger::All)
    };
    assert_eq!(history(1, 4, 2), 1);
    assert_eq!(history(1, 1, 0), 0);
    assert_eq!(history(2, 1, 9), 0, "never below nothing");
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
            History::peek(&Bytes::copy_from_slice(bytes)),
            History::default()
        );
    }
}
