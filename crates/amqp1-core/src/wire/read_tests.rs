#![allow(clippy::unwrap_used)]
use super::*;
use crate::wire::write;

#[test]
fn what_is_written_is_read() {
    let mut out = Vec::new();
    write::string(&mut out, "grüße");
    write::long(&mut out, -129);
    write::int(&mut out, 127);
    write::uint(&mut out, 70_000);
    write::ulong(&mut out, 5);
    write::binary(&mut out, &[0; 300]);
    write::bool(&mut out, true);
    write::map(&mut out, |out| {
        write::symbol(out, "k");
        write::double(out, 1.5);
        2
    });
    let mut reader = Reader::new(&out);
    assert_eq!(reader.value().unwrap(), Value::Text("grüße"));
    assert_eq!(reader.value().unwrap(), Value::Signed(-129));
    assert_eq!(reader.value().unwrap(), Value::Signed(127));
    assert_eq!(reader.value().unwrap(), Value::Unsigned(70_000));
    assert_eq!(reader.value().unwrap(), Value::Unsigned(5));
    assert_eq!(reader.value().unwrap(), Value::Binary(&[0; 300]));
    assert_eq!(reader.value().unwrap(), Value::Bool(true));
    let Value::Map(mut map) = reader.value().unwrap() else {
        panic!("not a map");
    };
    let entry = map.entry().unwrap().unwrap();
    assert_eq!(entry, (Value::Symbol("k"), Value::Float(1.5)));
    assert!(map.entry().unwrap().is_none());
    assert!(reader.rest().is_empty());
}

#[test]
fn lies_about_size_are_errors_not_panics() {
    for bytes in [
        &[0xd1, 0, 0, 0, 200, 0, 0, 0, 2][..],
        &[0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        &[0xb1, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x70],
        &[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41],
        &[0x00, 0x00, 0x00],
        &[0xa1, 3, 0xff, 0xfe],
        &[],
    ] {
        assert!(Reader::new(bytes).value().is_err(), "{bytes:?}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_its_bytes() {
    for constructor in [0xa1, 0xa3] {
        let bytes = [constructor, 2, 0xff, 0xfe];
        let value = Reader::new(&bytes).value().unwrap();
        assert_eq!(value, Value::IllFormed(&[0xff, 0xfe]));
        assert_eq!(value.as_text(), None);
        assert_eq!(value.as_name(), Some(&[0xff, 0xfe][..]));
    }
}

#[test]
fn serde_amqp_agrees() {
    use serde_amqp::primitives::OrderedMap;
    let map: OrderedMap<String, i64> = [("a".to_owned(), 1), ("b".to_owned(), -200)]
        .into_iter()
        .collect();
    let bytes = serde_amqp::to_vec(&map).unwrap();
    let Value::Map(mut items) = Reader::new(&bytes).value().unwrap() else {
        panic!("not a map");
    };
    assert_eq!(
        items.entry().unwrap().unwrap(),
        (Value::Text("a"), Value::Signed(1))
    );
    assert_eq!(
        items.entry().unwrap().unwrap(),
        (Value::Text("b"), Value::Signed(-200))
    );
}
