#![allow(clippy::unwrap_used)]
use super::*;

fn text(text: &str) -> Input {
    Input::Text(text.to_owned())
}

fn options(entries: &[(&str, Input)]) -> Result<QueueOptions> {
    let entries = entries.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
    let options = QueueOptions::default().apply("test", &Input::Map(entries.collect()))?;
    options.check()?;
    Ok(options)
}

fn refused(entries: &[(&str, Input)], named: &str) {
    let error = options(entries).unwrap_err();
    assert!(error.message().contains(named), "{error}");
}

#[test]
fn options_become_arguments() {
    let options = options(&[
        ("queue_type", text("classic")),
        ("max_length", Input::Int(10)),
        ("overflow", text("reject-publish")),
        ("dead_letter_exchange", text("")),
        ("dead_letter_routing_key", text("dead")),
        ("single_active_consumer", Input::Bool(true)),
        ("max_priority", Input::Int(9)),
        (
            "arguments",
            Input::Map(vec![("x-expires".to_owned(), Input::Int(1000))]),
        ),
    ])
    .unwrap();
    let asked = options.topology.asked();
    for (name, value) in [
        ("x-queue-type", text("classic")),
        ("x-max-length", Input::Int(10)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-single-active-consumer", Input::Bool(true)),
        ("x-max-priority", Input::Int(9)),
        ("x-expires", Input::Int(1000)),
    ] {
        assert!(asked.contains(&(name.to_owned(), value)), "{name}");
    }
    assert_eq!(asked.len(), 8);
}

#[test]
fn contradictions_are_found_before_anything_is_sent() {
    let twice = Input::Map(vec![("x-max-length".to_owned(), Input::Int(1))]);
    refused(
        &[("max_length", Input::Int(2)), ("arguments", twice)],
        "x-max-length",
    );
    refused(&[("queue_type", text("stream"))], "stream");
    let stream = Input::Map(vec![("x-queue-type".to_owned(), text("stream"))]);
    refused(&[("arguments", stream)], "stream");
    refused(&[("max_priority", Input::Int(5))], "classic");
    let quorum = ("queue_type", text("quorum"));
    refused(
        &[quorum.clone(), ("exclusive", Input::Bool(true))],
        "exclusive",
    );
    refused(&[quorum, ("durable", Input::Bool(false))], "durable");
    refused(
        &[("dead_letter_routing_key", text("x"))],
        "dead_letter_exchange",
    );
    refused(&[("exchange_type", text("topik"))], "topic");
    refused(&[("overflow", text("drop"))], "drop-head");
    refused(&[("bindings", Input::List(vec![text("key")]))], "exchange");
    let misspelt = Input::Map(vec![("routing_keys".to_owned(), text("k"))]);
    refused(
        &[("bindings", Input::List(vec![misspelt]))],
        "bindings'[0].routing_keys",
    );
}

#[test]
fn a_plain_queue_asks_for_nothing_more() {
    let beyond = |entries: &[(&str, Input)]| {
        let options = options(entries).unwrap();
        options.beyond_classic()
    };
    assert_eq!(beyond(&[]), None);
    assert_eq!(beyond(&[("queue_type", text("classic"))]), None);
    assert_eq!(
        beyond(&[("queue_type", text("quorum"))]),
        Some("queue_type")
    );
    assert_eq!(beyond(&[("max_length", Input::Int(1))]), Some("max_length"));
    assert_eq!(
        beyond(&[("exclusive", Input::Bool(true))]),
        Some("exclusive")
    );
}
