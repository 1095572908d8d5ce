//! What a publisher leaves to the next one of its thread: memory that a single push would otherwise
//! allocate and free again.

use std::cell::Cell;
use std::collections::VecDeque;

use super::{Publisher, Sent};
use crate::base::fork;
use crate::connection::{Confirmation, Tracker};

/// The most jobs for which it leaves room.
const MAX_KEPT: usize = 16;

/// Nobody else has any part of it, and it refers to no connection. A child may thus use its copy.
#[derive(Default)]
pub(super) struct Kept {
    pub tracker: Tracker,
    pub window: VecDeque<Option<Sent>>,
    pub outcomes: Vec<(u64, Confirmation)>,
}

thread_local! {
    static KEPT: Cell<Option<Kept>> = const { Cell::new(None) };
}

impl Publisher {
    /// What the last publisher has left, or new. A publisher that begins while another one waits,
    /// in a signal handler for example, finds nothing.
    pub(super) fn kept() -> Kept {
        let kept = KEPT.try_with(Cell::take);
        kept.ok().flatten().unwrap_or_default()
    }

    /// Leaves what it has to the next one, unless anything of it is still in use.
    pub(super) fn keep(&mut self) {
        // In a child, a thread of the parent may have locked it.
        let is_ours = self.generation == fork::generation();
        if !is_ours || self.window.capacity() > MAX_KEPT || self.outcomes.capacity() > MAX_KEPT {
            return;
        }
        if !self.tracker.renew() {
            return;
        }
        let mut kept = Kept {
            // This publisher's own is dropped at once.
            tracker: self.tracker.clone(),
            window: std::mem::take(&mut self.window),
            outcomes: std::mem::take(&mut self.outcomes),
        };
        kept.window.clear();
        kept.outcomes.clear();
        // At the thread's end, there is no next one.
        let _ = KEPT.try_with(|slot| slot.set(Some(kept)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::connection::Tracked;
    use crate::reach::definition::Definition;
    use crate::settings::endpoint::Endpoint;
    use crate::settings::options::QueueOptions;
    use crate::settings::shared_endpoint::SharedEndpoint;
    use crate::settings::spec::Spec;

    fn publisher() -> Publisher {
        let options = QueueOptions::default();
        let endpoint = Endpoint::parse("embedded://kept", &options).unwrap();
        let endpoint = SharedEndpoint::new(endpoint);
        let spec = Spec::new(endpoint, "q".to_owned(), "q".to_owned(), options);
        Publisher::new(Arc::new(Definition::new(spec)))
    }

    fn is_new(publisher: &Publisher) -> bool {
        let tracker = &publisher.tracker;
        let has_none = tracker.take(&mut Vec::new(), 0) == 0;
        has_none && !tracker.is_abandoned() && publisher.next_index() == 0
    }

    fn tracked(publisher: &Publisher, index: u64) -> Tracked {
        publisher.tracker.expect();
        let tracker = publisher.tracker.clone();
        Tracked { tracker, index }
    }

    #[test]
    fn the_next_publisher_is_as_good_as_new() {
        drop(publisher());
        let outer = publisher();
        let pending = tracked(&outer, 0);
        // A signal handler pushes while it waits.
        let inner = publisher();
        assert!(is_new(&inner));
        tracked(&inner, 0).resolve(Confirmation::Released);
        drop(inner);
        assert_eq!(outer.tracker.pending(), 1);
        // The outcome of a push that has timed out reaches nobody else.
        drop(outer);
        let (next, other) = (publisher(), publisher());
        pending.resolve(Confirmation::Released);
        for publisher in [next, other] {
            assert!(is_new(&publisher));
            let mut outcomes = Vec::new();
            publisher.tracker.take(&mut outcomes, 0);
            assert_eq!(outcomes, []);
        }
    }

    #[test]
    fn what_a_parent_uses_is_not_kept_in_its_child() {
        Publisher::kept();
        let mut parents = publisher();
        parents.generation += 1;
        drop(parents);
        let kept = KEPT.take();
        assert!(kept.is_none());
    }
}
