//! What must be true of the client alone, between any two events.

use super::world::{World, BYTES, MOST, PATIENCE};
use crate::connection::protocol::link::Phase;

impl World {
    /// Invariants of the client alone, between any two events; the numbers are those in the
    /// receiver's module.
    pub fn check(&mut self) {
        self.take_outcomes();
        let is_gathering = self.client.is_gathering();
        for receiving in &mut self.receivers {
            let Ok((session, _)) = self.client.session(receiving.key) else {
                continue;
            };
            let gathers = session.gathers && is_gathering;
            let Ok(receiver) = session.receiver() else {
                continue;
            };
            assert!(gathers || receiver.gathered() == 0, "(4) never flushed");
            let (held, credit) = (receiver.held(), receiver.credit());
            if receiving.manner.elastic {
                let limit = receiving.prefetch.max(MOST);
                receiving.prefetch = receiving.prefetch.max(receiver.prefetch());
                assert!(receiving.prefetch <= limit, "raised too far");
                let (count, bytes, has_settled) = receiver.buffered();
                let is_bounded = receiver.returns_unseen() && !has_settled;
                assert!(!is_bounded || count < 2 || bytes <= BYTES, "{bytes} wait");
            }
            let most = receiving.prefetch;
            if receiver.phase == Phase::Attached {
                assert!(held + credit <= most, "(2) {held} + {credit} > {most}");
                assert!(
                    !receiver.is_paused() || credit == 0,
                    "(2) credit while paused"
                );
                let in_hand = receiving.hand.iter().filter(|one| !one.settled).count() as u32;
                assert!(held >= in_hand, "(4) {held} held, {in_hand} in hand");
            }
        }
    }

    /// After the timers: nothing waits for long while PHP works on something else.
    pub fn check_waiting(&mut self) {
        let is_busy = self.taken.ago(self.now) >= 2 * PATIENCE;
        for receiving in self.receivers.iter().filter(|_| is_busy) {
            let Ok((session, _)) = self.client.session(receiving.key) else {
                continue;
            };
            if let Ok(receiver) = session.receiver() {
                let is_bounded = receiver.returns_unseen() && !receiver.buffered().2;
                let since = receiver.waiting_since().filter(|_| is_bounded);
                let long = since.is_some_and(|at| self.now - at >= 2 * PATIENCE);
                assert!(!long, "a delivery waits although PHP is busy");
            }
        }
    }

    fn take_outcomes(&mut self) {
        let mut taken = Vec::new();
        self.tracker.take(&mut taken, 0);
        for (index, outcome) in taken {
            let twice = self.outcomes.insert(index, outcome);
            assert_eq!(twice, None, "two outcomes of one message");
        }
    }
}
