//! Names of entities.

use super::constants::DEAD_LETTER_QUEUE;

/// The dead-letter queue of an entity; a dead-letter queue is its own.
pub(crate) fn dead_letter_queue(entity: &str) -> String {
    match is_dead_letter_queue(entity) {
        true => entity.to_owned(),
        false => format!("{entity}/{DEAD_LETTER_QUEUE}"),
    }
}

/// `…/$DeadLetterQueue`, regardless of case.
pub(crate) fn is_dead_letter_queue(entity: &str) -> bool {
    let last = entity.rsplit('/').next().unwrap_or_default();
    last.eq_ignore_ascii_case(DEAD_LETTER_QUEUE)
}

/// `topic/Subscriptions/name`, regardless of case.
fn is_subscription(entity: &str) -> bool {
    let mut parts = entity.rsplit('/');
    parts
        .nth(1)
        .is_some_and(|part| part.eq_ignore_ascii_case("Subscriptions"))
}

/// Whether nothing can be sent there: subscriptions receive from their topics, dead-letter queues
/// from their queues.
pub(crate) fn takes_no_copy(entity: &str) -> bool {
    is_dead_letter_queue(entity) || is_subscription(entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(dead_letter_queue("orders"), "orders/$DeadLetterQueue");
        let deep = "t/subscriptions/s/$deadletterqueue";
        assert_eq!(dead_letter_queue(deep), deep);
        assert!(takes_no_copy("t/Subscriptions/s") && takes_no_copy(deep));
        assert!(!takes_no_copy("orders") && !takes_no_copy("a/b"));
    }
}
