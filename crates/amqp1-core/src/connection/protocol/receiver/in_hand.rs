//! Deliveries handed out to PHP, if data about them is needed.

use std::collections::VecDeque;

use super::recalled::{has, Range};
use crate::format::history::History;

/// Usually, PHP settles the earliest one first.
#[derive(Debug, Default)]
pub(super) struct InHand(VecDeque<(u32, History)>);

impl InHand {
    /// Adds a delivery that was handed out to PHP.
    pub fn add(&mut self, delivery_id: u32, history: History) {
        self.0.push_back((delivery_id, history));
    }

    /// Removes a delivery that PHP no longer holds.
    pub fn remove(&mut self, delivery_id: u32) {
        if self.0.front().is_some_and(|(id, _)| *id == delivery_id) {
            self.0.pop_front();
            return;
        }
        let mut all = self.0.iter();
        if let Some(at) = all.position(|(id, _)| *id == delivery_id) {
            self.0.remove(at);
        }
    }

    /// Removes and returns all of them.
    pub fn take(&mut self) -> VecDeque<(u32, History)> {
        std::mem::take(&mut self.0)
    }

    /// Whether any delivery in the range is among them.
    pub fn has_any_of(&self, range: Range) -> bool {
        self.0.iter().any(|(id, _)| has(range, *id))
    }

    /// How many deliveries in the range are among them.
    pub fn count_of(&self, range: Range) -> usize {
        self.0.iter().filter(|(id, _)| has(range, *id)).count()
    }

    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|(id, _)| *id)
    }
}
