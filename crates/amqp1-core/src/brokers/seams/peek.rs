//! Looking at messages that stay in their queue.

use bytes::Bytes;

use crate::error::Error;

/// Whether a message can be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeekedState {
    /// It can be received, or a consumer has it in hand.
    Active,
    /// It is set aside, to be received by its number.
    Deferred,
    /// It waits for its time.
    Scheduled,
}

impl PeekedState {
    /// The state's name in PHP.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PeekedState::Active => "active",
            PeekedState::Deferred => "deferred",
            PeekedState::Scheduled => "scheduled",
        }
    }
}

/// A message as its broker shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeekedMessage {
    /// The broker's number; the messages of a queue are in the order of their numbers.
    pub number: i64,
    pub state: PeekedState,
    pub bytes: Bytes,
}

/// The most messages that are worth asking for at a time.
pub(crate) const PEEK_ROUND: u32 = 250;

/// Collects up to `max` messages from the number `from` on. `ask` asks the broker for some of them,
/// and may return fewer than it is asked for, as long as there are none in between; none means that
/// there are no more.
///
/// # Errors
/// Those of asking.
pub(crate) fn in_rounds<E>(
    from: i64,
    max: u32,
    ask: impl Fn(i64, u32) -> Result<Vec<PeekedMessage>, E>,
) -> Result<Vec<PeekedMessage>, E> {
    let (mut all, mut from, mut left) = (Vec::new(), from, max);
    while left > 0 {
        let mut found = ask(from, left.min(PEEK_ROUND))?;
        // A broker that repeats itself would be asked for ever.
        found.retain(|message| message.number >= from);
        found.truncate(left as usize);
        let last = found.iter().map(|message| message.number).max();
        let next = last.and_then(|last| last.checked_add(1));
        left -= u32::try_from(found.len()).unwrap_or(left);
        all.append(&mut found);
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(all)
}

/// The error for brokers that show no message without handing it out.
pub(crate) fn cannot_peek() -> Error {
    Error::unsupported(
        "peek() is not supported: this broker shows a job only by delivering it; take jobs with a Consumer and close it, which returns them, or use 'amqp1 failed:list' and 'failed:show' for failed jobs",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::cell::RefCell;
    use std::convert::Infallible;

    fn message(number: i64) -> PeekedMessage {
        PeekedMessage {
            number,
            state: PeekedState::Active,
            bytes: Bytes::new(),
        }
    }

    #[test]
    fn rounds_end_with_the_last_message_or_the_most() {
        let asked = RefCell::new(Vec::new());
        let ask = |from: i64, count: u32| {
            asked.borrow_mut().push((from, count));
            // Never more than two at a time.
            let found = (from.max(1)..=5).take(count.min(2) as usize);
            Ok::<_, Infallible>(found.map(message).collect())
        };
        let numbers = |from, max| {
            let found = in_rounds(from, max, ask).unwrap();
            found.iter().map(|one| one.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(0, 3), [1, 2, 3]);
        assert_eq!(asked.take(), [(0, 3), (3, 1)]);
        assert_eq!(numbers(2, 1000), [2, 3, 4, 5]);
        assert_eq!(asked.take(), [(2, 250), (4, 250), (6, 250)]);
        assert!(numbers(0, 0).is_empty());
    }

    #[test]
    fn a_broker_that_repeats_itself_ends_it() {
        let always = |_, _| Ok::<_, Infallible>(vec![message(1), message(2)]);
        assert_eq!(in_rounds(0, 10, always).unwrap().len(), 2);
        let last = |_, _| Ok::<_, Infallible>(vec![message(i64::MAX)]);
        assert_eq!(in_rounds(0, 10, last).unwrap().len(), 1);
    }
}
