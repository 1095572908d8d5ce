//! Chooses the channel of the next session.
//!
//! By the specification (2.5.5), a channel is free once both ends of its session are sent. RabbitMQ
//! (3.10 to 4.3) sends its end shortly before it forgets the session. It gives a begin that arrives
//! in between to the dying session, and nobody answers it. Therefore a channel rests before it is
//! used again, and the one that has rested longest goes first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a channel rests while others are available. RabbitMQ forgets a session within a
/// millisecond, on a slow machine within a few hundred.
const REST: Duration = Duration::from_secs(1);

/// The number of other channels to use before one that rests. RabbitMQ allows 64 per connection.
const ENOUGH: u32 = 64;

#[derive(Debug)]
pub(super) struct Channels {
    /// The lowest unused channel.
    next: u32,
    max: u16,
    resting: VecDeque<(u16, Instant)>,
}

impl Channels {
    /// Channels 0 to `max`.
    pub fn new(max: u16) -> Self {
        Self {
            next: 0,
            max,
            resting: VecDeque::new(),
        }
    }

    /// A channel; `None` if all are in use.
    pub fn take(&mut self, now: Instant) -> Option<u16> {
        let rested = |since: Instant| now.saturating_duration_since(since) >= REST;
        let rested = self.resting.front().is_some_and(|(_, at)| rested(*at));
        let unused = u16::try_from(self.next)
            .ok()
            .filter(|channel| *channel <= self.max);
        match unused {
            Some(channel) if !rested && (self.next < ENOUGH || self.resting.is_empty()) => {
                self.next += 1;
                Some(channel)
            }
            _ => self.resting.pop_front().map(|(channel, _)| channel),
        }
    }

    /// Returns the channel of a session that both sides have ended.
    pub fn put_back(&mut self, channel: u16, now: Instant) {
        self.resting.push_back((channel, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_rests_before_it_is_used_again() {
        let start = Instant::now();
        let mut channels = Channels::new(9);
        assert_eq!(channels.take(start), Some(0));
        channels.put_back(0, start);
        assert_eq!(channels.take(start), Some(1));
        assert_eq!(channels.take(start + REST), Some(0));
        assert_eq!(channels.take(start + REST), Some(2));
    }

    #[test]
    fn the_one_that_rested_longest_goes_first_and_all_can_be_in_use() {
        let now = Instant::now();
        let mut channels = Channels::new(2);
        assert_eq!(
            [0; 3].map(|_| channels.take(now)),
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(channels.take(now), None);
        channels.put_back(2, now);
        channels.put_back(0, now);
        assert_eq!([0; 3].map(|_| channels.take(now)), [Some(2), Some(0), None]);
    }

    #[test]
    fn a_connection_of_many_short_sessions_uses_some_of_its_channels() {
        let now = Instant::now();
        let mut channels = Channels::new(u16::MAX - 1);
        let used = (0..10_000).map(|_| {
            let channel = channels.take(now);
            channel.inspect(|channel| channels.put_back(*channel, now))
        });
        assert_eq!(used.flatten().max().map(u32::from), Some(ENOUGH - 1));
    }

    #[test]
    fn every_channel_there_can_be_is_given_once() {
        let now = Instant::now();
        let mut channels = Channels::new(u16::MAX);
        let given = (0..70_000).filter_map(|_| channels.take(now));
        assert_eq!(given.count(), usize::from(u16::MAX) + 1);
    }
}
