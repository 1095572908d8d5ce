//! Which of many places have something to look at, so that nobody has to look at all of them.
//!
//! Any thread marks a place when something happens there; one thread takes the places in the order
//! in which they were marked. A place is among the marked ones at most once.

use std::collections::VecDeque;

use crate::base::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Marks(Mutex<State>);

#[derive(Debug)]
struct State {
    order: VecDeque<usize>,
    is_marked: Vec<bool>,
}

impl State {
    fn mark(&mut self, place: usize) {
        if let Some(is_marked) = self.is_marked.get_mut(place) {
            if !std::mem::replace(is_marked, true) {
                self.order.push_back(place);
            }
        }
    }
}

impl Marks {
    /// `count` places, all of them marked.
    pub fn new(count: usize) -> Self {
        Self(Mutex::new(State {
            order: (0..count).collect(),
            is_marked: vec![true; count],
        }))
    }

    /// Marks a place, behind all that are marked.
    pub fn mark(&self, place: usize) {
        self.0.lock().mark(place);
    }

    /// Marks all places.
    pub fn mark_all(&self) {
        let mut state = self.0.lock();
        (0..state.is_marked.len()).for_each(|place| state.mark(place));
    }

    /// Takes the place that was marked first. What happens there from now on marks it again, so
    /// look at it after this.
    pub fn take(&self) -> Option<usize> {
        let mut state = self.0.lock();
        let place = state.order.pop_front()?;
        state.is_marked[place] = false;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_in_the_order_of_their_marks_and_once() {
        let marks = Marks::new(3);
        assert_eq!([marks.take(), marks.take()], [Some(0), Some(1)]);
        marks.mark(1);
        marks.mark(1);
        marks.mark(2);
        marks.mark(0);
        marks.mark(7);
        let all: Vec<_> = std::iter::from_fn(|| marks.take()).collect();
        assert_eq!(all, [2, 1, 0]);
        marks.mark(2);
        marks.mark_all();
        let all: Vec<_> = std::iter::from_fn(|| marks.take()).collect();
        assert_eq!(all, [2, 0, 1]);
    }
}
