#![allow(clippy::unwrap_used)]

use super::super::copy::tests::{envelope, job, ID};
use super::super::{decode, encode, Format};
use crate::format::PropertyMapping;

#[test]
fn there_is_nothing_but_the_payload_and_its_properties() {
    let mut job = job(b"\xffpayload", false);
    job.options.headers.truncate(1);
    let mapping = || Ok(PropertyMapping::Annotations);
    let bytes = encode(Format::Raw, &job, &envelope(), mapping).unwrap();
    assert!(!bytes.windows(3).any(|bytes| bytes == b"rr_"));
    let decoded = decode(bytes.into(), PropertyMapping::Annotations).unwrap();
    assert_eq!(decoded.format, Format::Raw);
    assert_eq!(decoded.id(), ID);
    assert_eq!(decoded.name(), "urn:babel:orders:created");
    assert_eq!(decoded.body(), &b"\xffpayload"[..]);
    assert_eq!(decoded.priority, Some(7));
    let tenant = ("tenant".into(), vec!["ü/1".into()]);
    assert_eq!(decoded.all_headers(), [tenant]);
}
