//! What wakes a consumer, and which of its queues it then looks at.

use std::sync::Arc;

use crate::base::fork;
use crate::base::marks::Marks;
use crate::base::wait::Signal;

/// What wakes a consumer, in one process.
#[derive(Debug, Clone)]
pub(crate) struct Wakeup {
    pub generation: u64,
    pub signal: Signal,
    /// The queues to visit. `None`: all of them.
    pub marks: Option<Arc<Marks>>,
}

impl Wakeup {
    /// For a consumer of this many queues. `by_marks`: nothing happens to them that raises no
    /// signal.
    pub fn new(queues: usize, by_marks: bool) -> Self {
        let marks = (by_marks && queues > 1).then(|| Arc::new(Marks::new(queues)));
        Self {
            generation: fork::generation(),
            signal: Signal::new(),
            marks,
        }
    }

    /// The signal for the link of one queue.
    pub fn of_queue(&self, queue: usize) -> Signal {
        match &self.marks {
            Some(marks) => self.signal.marking(marks, queue),
            None => self.signal.clone(),
        }
    }

    /// Visits all queues once.
    pub fn mark_all(&self) {
        if let Some(marks) = &self.marks {
            marks.mark_all();
        }
    }
}
