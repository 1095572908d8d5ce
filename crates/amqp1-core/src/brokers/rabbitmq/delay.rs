//! Delays on RabbitMQ 4 without a plugin: queues whose messages expire into the target queue.
//!
//! A queue's messages expire only at its head, so all messages of a delay queue need the same
//! delay. There cannot be a queue for every possible delay, though. Therefore delays are rounded up
//! to one of about 340 steps, each at most 4.5 % above the previous one (below five seconds: 250
//! ms).
//!
//! An unused delay queue must be deleted, but never with a message inside. RabbitMQ's `x-expires`
//! counts from the declaration. Neither a publish nor, for a quorum queue, another declaration over
//! the management node renews it. Therefore a delay queue is used for one day only, which is part
//! of its name. It exists for that day, its delay and another day: the last message leaves it a day
//! before it expires. That day allows for clocks that differ by hours and for targets that are full
//! for hours.
//!
//! An index lists the existing ones, see `delay_queues`.

use std::time::Duration;

use crate::brokers::seams::recipient::Recipient;

/// The upper end of the even steps.
const EVEN_UP_TO: u64 = 5_000;
/// The even steps, in milliseconds.
const EVEN_STEP: u64 = 250;

/// One day in milliseconds: how long a delay queue is published to, and how long it outlives its
/// last message.
const DAY: u64 = 86_400_000;

/// The exchange at the root of the index of all delay queues.
pub const INDEX: &str = "amqp1.delay.index";

/// RabbitMQ stores `x-expires` as 32 bits of milliseconds.
pub const LONGEST: Duration = Duration::from_secs(47 * 86_400);

/// The delay queue of one step, one day and one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayQueue {
    /// Its name.
    pub name: String,
    /// Its position among the queues of its target.
    pub slot: Slot,
}

/// The step and the day of a delay queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// `x-message-ttl`: the step, in milliseconds.
    pub ttl: u64,
    /// The day on which it is published to, counted from 1970.
    pub day: u64,
}

impl Slot {
    /// `x-expires`, in milliseconds.
    #[must_use]
    pub fn expires(self) -> u64 {
        self.ttl.saturating_add(2 * DAY)
    }

    /// Whether its queue can contain a message now (Unix milliseconds).
    #[must_use]
    pub fn can_hold(self, now: u64) -> bool {
        let (today, days) = (now / DAY, self.ttl.div_ceil(DAY));
        // Including tomorrow's, for a process whose clock is ahead.
        self.day <= today + 1 && self.day.saturating_add(days) >= today
    }

    /// Whether its queue has expired by now, whenever on its day it was created.
    #[must_use]
    pub fn is_gone(self, now: u64) -> bool {
        let day_is_over = self.day.saturating_add(1).saturating_mul(DAY);
        now > day_is_over.saturating_add(self.expires())
    }

    /// The name of its queue for `target`.
    #[must_use]
    pub fn name(self, target: &str) -> String {
        shortened(format!("amqp1.delay.{}.{}.{target}", self.ttl, self.day))
    }
}

/// The queue for delaying a job to `target` now (Unix milliseconds). `None` beyond [`LONGEST`].
#[must_use]
pub fn queue(delay: Duration, target: &str, now: u64) -> Option<DelayQueue> {
    let ttl = step(delay)?;
    let slot = Slot {
        ttl,
        day: now / DAY,
    };
    Some(DelayQueue {
        name: slot.name(target),
        slot,
    })
}

/// The target in the names of a recipient's delay queues.
#[must_use]
pub(super) fn target(to: &Recipient<'_>) -> String {
    match to.exchange {
        Some(exchange) => format!("{exchange}/{}", to.key),
        None => to.key.to_owned(),
    }
}

/// The exchange that represents `target` in the index of delay queues.
#[must_use]
pub fn index(target: &str) -> String {
    shortened(format!("{INDEX}.{target}"))
}

/// The step for a delay: never shorter, and at most 4.5 % or 250 ms longer.
fn step(delay: Duration) -> Option<u64> {
    if delay > LONGEST {
        return None;
    }
    let wanted = delay.as_micros().div_ceil(1000).max(1) as u64;
    steps().find(|step| *step >= wanted)
}

/// All steps in milliseconds, in order.
fn steps() -> impl Iterator<Item = u64> {
    let longest = LONGEST.as_millis() as u64;
    let even = (1..=EVEN_UP_TO / EVEN_STEP).map(|n| n * EVEN_STEP);
    let geometric = std::iter::successors(Some(next(EVEN_UP_TO)), |step| Some(next(*step)));
    even.chain(geometric.take_while(move |step| *step < longest))
        .chain(std::iter::once(longest))
}

fn next(step: u64) -> u64 {
    step + step * 45 / 1000
}

fn shortened(name: String) -> String {
    // RabbitMQ's limit is 255 bytes. A longer name keeps its beginning and ends in a hash of the
    // rest.
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
            let step = step(Duration::from_millis(millis)).unwrap();
            assert!(step >= millis, "{millis} → {step}");
            let late = step - millis;
            assert!(late <= (millis / 20).max(1000), "{millis} → {step}");
        }
    }

    #[test]
    fn there_is_a_bounded_number_of_them() {
        assert!(steps().count() < 350);
        assert_eq!(step(LONGEST), Some(LONGEST.as_millis() as u64));
        assert_eq!(step(LONGEST + Duration::from_millis(1)), None);
        assert!(LONGEST.as_millis() as u64 + 2 * DAY < u64::from(u32::MAX));
    }

    #[test]
    fn a_queue_outlives_its_last_message_by_a_day() {
        for delay in [1, 3_600, 40 * 86_400] {
            let delay = Duration::from_secs(delay);
            // Declared at the day's first moment, used at its last.
            let first = queue(delay, "q", 100 * DAY).unwrap();
            let last = queue(delay, "q", 101 * DAY - 1).unwrap();
            assert_eq!(first, last);
            let last_message_leaves = 101 * DAY - 1 + last.slot.ttl;
            let queue_goes = 100 * DAY + first.slot.expires();
            assert!(queue_goes >= last_message_leaves + DAY);
            assert_ne!(queue(delay, "q", 101 * DAY).unwrap().name, first.name);
            assert!(first.slot.can_hold(100 * DAY) && first.slot.can_hold(last_message_leaves - 1));
            assert!(!first.slot.is_gone(queue_goes));
            assert!(first.slot.is_gone(queue_goes + DAY + 1));
            assert!(!first.slot.can_hold(queue_goes + DAY));
        }
    }

    #[test]
    fn long_names_stay_apart_and_short_enough() {
        let slot = Slot { ttl: 1, day: 1 };
        let names = |name: &dyn Fn(&str) -> String| {
            let one = name(&format!("{}ü1", "x".repeat(240)));
            let two = name(&format!("{}ü2", "x".repeat(240)));
            assert!(one.len() <= 255 && two.len() <= 255 && one != two);
        };
        names(&|target| slot.name(target));
        names(&index);
    }
}
