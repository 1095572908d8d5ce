//! Encodes delivery states (AMQP 1.0 part 3, section 3.4).

use super::write;

/// `rejected` with an error: the job can never succeed.
#[must_use]
pub fn rejected(condition: &str, description: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    write::descriptor(&mut out, 0x25);
    write::list(&mut out, |out| {
        write::descriptor(out, 0x1d);
        write::list(out, |out| {
            write::symbol(out, condition);
            write::string(out, description);
            2
        });
        1
    });
    out
}

/// `rejected` without an error.
#[must_use]
pub fn refused() -> Vec<u8> {
    vec![0x00, 0x53, 0x25, 0x45]
}

/// `rejected` with an error without a description; `info` writes the error's map and returns its
/// count.
#[must_use]
pub fn rejected_with(condition: &str, info: impl FnOnce(&mut Vec<u8>) -> u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write::descriptor(&mut out, 0x25);
    write::list(&mut out, |out| {
        write::descriptor(out, 0x1d);
        write::list(out, |out| {
            write::symbol(out, condition);
            write::null(out);
            write::map(out, info);
            3
        });
        1
    });
    out
}

/// `accepted`.
#[must_use]
pub fn accepted() -> Vec<u8> {
    vec![0x00, 0x53, 0x24, 0x45]
}

/// `released`: returned as if it had not been delivered.
#[must_use]
pub fn released() -> Vec<u8> {
    vec![0x00, 0x53, 0x26, 0x45]
}

/// `modified` with undeliverable-here: not for this receiver again. Service Bus then sets the message
/// aside.
#[must_use]
pub fn undeliverable_here() -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    write::descriptor(&mut out, 0x27);
    write::list(&mut out, |out| {
        write::bool(out, false);
        write::bool(out, true);
        2
    });
    out
}

/// `modified`: returned, and counted as failed if `delivery_failed`. Annotations are symbols
/// beginning with `x-opt-`, with integer values.
#[must_use]
pub fn modified(delivery_failed: bool, annotations: &[(&str, i64)]) -> Vec<u8> {
    modified_with(delivery_failed, annotations, None)
}

/// [`modified`], with one more annotation whose value is text.
#[must_use]
pub fn modified_with(
    delivery_failed: bool,
    annotations: &[(&str, i64)],
    text: Option<(&str, &str)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    write::descriptor(&mut out, 0x27);
    write::list(&mut out, |out| {
        write::bool(out, delivery_failed);
        write::bool(out, false);
        if annotations.is_empty() && text.is_none() {
            return 2;
        }
        write::map(out, |out| {
            for (key, value) in annotations {
                write::symbol(out, key);
                write::long(out, *value);
            }
            if let Some((key, value)) = text {
                write::symbol(out, key);
                write::string(out, value);
            }
            (annotations.len() + usize::from(text.is_some())) as u32 * 2
        });
        3
    });
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fe2o3_amqp_types::messaging::DeliveryState;

    #[test]
    fn fe2o3_reads_the_states_we_write() {
        let bytes = super::rejected("amqp:internal-error", "why");
        let DeliveryState::Rejected(rejected) = serde_amqp::from_slice(&bytes).unwrap() else {
            panic!("not rejected");
        };
        let error = rejected.error.unwrap();
        assert_eq!(error.description.as_deref(), Some("why"));
        let bytes = super::modified(true, &[("x-opt-delivery-time", 7)]);
        let DeliveryState::Modified(modified) = serde_amqp::from_slice(&bytes).unwrap() else {
            panic!("not modified");
        };
        assert_eq!(modified.delivery_failed, Some(true));
        assert_eq!(modified.message_annotations.unwrap().len(), 1);
        let bytes = super::modified_with(true, &[("x-opt-n", 7)], Some(("x-opt-why", "so")));
        let DeliveryState::Modified(modified) = serde_amqp::from_slice(&bytes).unwrap() else {
            panic!("not modified");
        };
        assert_eq!(modified.message_annotations.unwrap().len(), 2);
        let bytes = super::undeliverable_here();
        let DeliveryState::Modified(modified) = serde_amqp::from_slice(&bytes).unwrap() else {
            panic!("not modified");
        };
        assert_eq!(modified.undeliverable_here, Some(true));
        let state = serde_amqp::from_slice(&super::released()).unwrap();
        assert!(matches!(state, DeliveryState::Released(_)));
    }
}
