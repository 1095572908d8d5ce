//! Duplicate detection: remembers message-ids for a while.

use std::collections::{HashSet, VecDeque};

/// The ids within one entity's window.
#[derive(Debug)]
pub(crate) struct Duplicates {
    /// Milliseconds.
    window: u64,
    seen: HashSet<String>,
    order: VecDeque<(u64, String)>,
}

impl Duplicates {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            window,
            seen: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether this id has arrived within the window. Remembers it from now on.
    pub(crate) fn is_known(&mut self, id: &str, now: u64) -> bool {
        while let Some((at, _)) = self.order.front() {
            if at.saturating_add(self.window) > now {
                break;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.seen.remove(&id);
            }
        }
        if !self.seen.insert(id.to_owned()) {
            return true;
        }
        self.order.push_back((now, id.to_owned()));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_the_window_and_no_longer() {
        let mut ids = Duplicates::new(100);
        assert!(!ids.is_known("a", 0));
        assert!(ids.is_known("a", 99));
        assert!(!ids.is_known("b", 99));
        assert!(!ids.is_known("a", 100), "the second one did not renew it");
        assert!(ids.is_known("b", 150));
    }
}
