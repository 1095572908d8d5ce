#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use super::*;

fn text(text: &str) -> Input {
    Input::Text(text.to_owned())
}

fn get<'a>(input: &'a Input, key: &str) -> &'a Input {
    let (_, value) = input
        .map("")
        .unwrap()
        .iter()
        .find(|(name, _)| name == key)
        .unwrap();
    value
}

#[test]
fn scalars_have_the_core_schemas_types() {
    for (yaml, expected) in [
        ("", Input::Null),
        ("~", Input::Null),
        ("null", Input::Null),
        ("''", text("")),
        ("true", Input::Bool(true)),
        ("FALSE", Input::Bool(false)),
        ("'true'", text("true")),
        ("yes", text("yes")),
        ("12", Input::Int(12)),
        ("-12", Input::Int(-12)),
        ("+12", Input::Int(12)),
        ("010", Input::Int(10)),
        ("0x1F", Input::Int(31)),
        ("0o17", Input::Int(15)),
        ("0x-1", text("0x-1")),
        ("1.5", Input::Float(1.5)),
        (".5", Input::Float(0.5)),
        ("1e3", Input::Float(1000.0)),
        ("-.inf", Input::Float(f64::NEG_INFINITY)),
        ("infinity", text("infinity")),
        ("nan", text("nan")),
        ("1.2.3", text("1.2.3")),
        ("127.0.0.1:6001", text("127.0.0.1:6001")),
        ("\"12\"", text("12")),
        ("!!str 12", text("12")),
        ("!own 12", Input::Int(12)),
        ("99999999999999999999", Input::Float(1e20)),
    ] {
        assert_eq!(parse(yaml).unwrap(), expected, "{yaml}");
    }
}

#[test]
fn anchors_and_merge_keys() {
    let input = parse(
        "base: &base {prefetch: 10, priority: 1}\n\
         more: &more {durable: false, priority: 2}\n\
         one: *base\n\
         two: {priority: 7, <<: [*base, *more]}\n",
    )
    .unwrap();
    assert_eq!(get(&input, "one"), get(&input, "base"));
    let two = get(&input, "two");
    assert_eq!(get(two, "priority"), &Input::Int(7));
    assert_eq!(get(two, "prefetch"), &Input::Int(10));
    assert_eq!(get(two, "durable"), &Input::Bool(false));
    assert_eq!(two.map("").unwrap().len(), 3);
}

#[test]
fn what_is_wrong_is_located_and_not_repeated() {
    for yaml in [
        "a: [s3cret",
        "a: s3cret\na: s3cret",
        "a: 's3cret",
        "? [s3cret]\n: 1",
        "a: *s3cret",
        "a: &a [*a, s3cret]",
        "a: s3cret\n---\nb: s3cret",
        "<<: s3cret",
        "a:\n\tb: s3cret",
        "a: \"\\z s3cret\"",
        "%YAML s3cret\n---\n",
        "a: b: s3cret",
    ] {
        let error = parse(yaml).unwrap_err();
        assert!(error.message().starts_with("line "), "{yaml}: {error}");
        assert!(!error.message().contains("s3cret"), "{yaml}: {error}");
    }
}

#[test]
fn bombs_do_not_go_off() {
    let lists = |levels: usize| {
        let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..levels {
            let alias = format!("*a{},", level - 1).repeat(10);
            yaml += &format!("a{level}: &a{level} [{alias}]\n");
        }
        yaml
    };
    let merges = {
        let mut yaml = "a0: &a0 {x0: 1}\n".to_owned();
        for level in 1..4000 {
            yaml += &format!("a{level}: &a{level} {{<<: *a{}, x{level}: 1}}\n", level - 1);
        }
        yaml
    };
    let long = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(500_000),
        "*a,".repeat(100_000)
    );
    for (what, yaml) in [
        ("lists", lists(30)),
        ("merges", merges),
        ("text", long),
        ("depth", "[".repeat(100_000)),
        ("flow maps", "{a: ".repeat(100_000)),
        ("block depth", "- ".repeat(100_000)),
    ] {
        let start = Instant::now();
        assert!(parse(&yaml).is_err(), "{what}");
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
    }
    // A file that is wide but not deep is accepted.
    let wide: String = (0..50_000).map(|n| format!("key{n}: value\n")).collect();
    assert_eq!(parse(&wide).unwrap().map("").unwrap().len(), 50_000);
}
