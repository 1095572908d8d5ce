//! Deliveries in PHP's hands, where something has to be known of them.

use std::collections::VecDeque;

use super::recalled::{has, Range};
use crate::format::history::History;

/// See the module. PHP settles what it got first before the rest, as a rule.
#[derive(Debug, Default)]
pub(super) struct InHand(VecDeque<(u32, History)>);

impl InHand {
    /// PHP has it now.
    pub fn add(&mut self, delivery_id: u32, history: History) {
        self.0.push_back((delivery_id, history));
    }

    /// PHP has it no more.
    pub fn remove(&mut self, delivery_id: u32) {
        let mut all = self.0.iter();
        if let Some(at) = all.position(|(id, _)| *id == delivery_id) {
            self.0.remove(at);
        }
    }

    /// All of them, which are nobody's from now on.
    pub fn take(&mut self) -> VecDeque<(u32, History)> {
        std::mem::take(&mut self.0)
    }

    /// One of the deliveries is among them.
    pub fn has_any_of(&self, range: Range) -> bool {
        self.0.iter().any(|(id, _)| has(range, *id))
    }

    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|(id, _)| *id)
    }
}
