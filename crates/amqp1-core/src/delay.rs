//! Delays on RabbitMQ 4 without a plugin: queues whose messages expire into
//! the target.
//!
//! Expiry is at the head of the line, so all messages of one delay queue have
//! the same delay; and there must not be a queue for each delay that somebody
//! asks for. So delays are rounded up to one of [`BUCKETS`] steps, each at most
//! 4.5 % (below five seconds: 250 ms) above the one before.

use std::time::Duration;

/// Up to here steps are even.
const EVEN_UP_TO: u64 = 5_000;
/// The even steps, in milliseconds.
const EVEN_STEP: u64 = 250;

/// RabbitMQ keeps a TTL in 32 bits of milliseconds, and the queue outlives its last message.
pub const LONGEST: Duration = Duration::from_secs(48 * 86_400);

/// A delay queue lives so much longer than its messages, unless it is declared
/// anew: no message is inside when it goes.
pub const LINGER: Duration = Duration::from_secs(600);

/// A queue that was declared longer ago is declared again before it is used, so
/// that its end is always [`LINGER`] less this (nine minutes) beyond its messages'.
pub const REDECLARE: Duration = Duration::from_secs(60);

/// The step for a delay: never shorter, at most 4.5 % or 250 ms longer.
/// `None` beyond [`LONGEST`].
#[must_use]
pub fn bucket(delay: Duration) -> Option<u64> {
    if delay > LONGEST {
        return None;
    }
    let wanted = delay.as_micros().div_ceil(1000).max(1) as u64;
    buckets().find(|step| *step >= wanted)
}

/// Every step in milliseconds, in order.
pub fn buckets() -> impl Iterator<Item = u64> {
    let longest = LONGEST.as_millis() as u64;
    let even = (1..=EVEN_UP_TO / EVEN_STEP).map(|n| n * EVEN_STEP);
    let geometric = std::iter::successors(Some(next(EVEN_UP_TO)), |step| Some(next(*step)));
    even.chain(geometric.take_while(move |step| *step < longest))
        .chain(std::iter::once(longest))
}

fn next(step: u64) -> u64 {
    step + step * 45 / 1000
}

/// The name of the delay queue of `milliseconds` before `target`.
#[must_use]
pub fn queue_name(milliseconds: u64, target: &str) -> String {
    let name = format!("amqp1.delay.{milliseconds}.{target}");
    // RabbitMQ's limit is 255 bytes; a long name keeps its beginning and a hash of the rest.
    if name.len() <= 255 {
        return name;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut cut = 230;
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}.{hash:016x}", &name[..cut])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn never_sooner_and_within_five_percent_or_a_second() {
        for millis in (1..20_000_u64)
            .step_by(7)
            .chain((20_000..LONGEST.as_millis() as u64).step_by(9_999_991))
        {
            let step = bucket(Duration::from_millis(millis)).unwrap();
            assert!(step >= millis, "{millis} → {step}");
            let late = step - millis;
            assert!(late <= (millis / 20).max(1000), "{millis} → {step}");
        }
    }

    #[test]
    fn there_is_a_bounded_number_of_them() {
        assert!(buckets().count() < 350);
        assert_eq!(bucket(LONGEST), Some(LONGEST.as_millis() as u64));
        assert_eq!(bucket(LONGEST + Duration::from_millis(1)), None);
    }

    #[test]
    fn long_names_stay_apart_and_short_enough() {
        let one = queue_name(1, &format!("{}ü1", "x".repeat(240)));
        let two = queue_name(1, &format!("{}ü2", "x".repeat(240)));
        assert!(one.len() <= 255 && two.len() <= 255 && one != two);
    }
}
