//! How a receiver is granted credit.
//!
//! ```text
//!              suspect
//!  Standing ────────────▶ Careful        a received job may have killed a process
//!     ▲  ▲ ◀──────────────  ▲ │
//!     │  │     clear        │ │
//!     │  └──────┐   ┌───────┘ │          as before the pause
//!     │ resume  │   │ resume  │ pause
//!     └───────── Paused ◀─────┘
//!        pause    │  └─▶ suspect: Careful after the pause
//!                 │ demand
//!                 ▼
//!              OnDemand                  permanently
//! ```

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Credit is renewed as deliveries are settled.
    Standing,
    /// Credit for one delivery, when PHP waits for it.
    Careful,
    /// No credit; deliveries still in flight are returned.
    Paused {
        /// Whether it resumes as [`Mode::Careful`].
        careful: bool,
    },
    /// Credit as requested, never renewed.
    OnDemand {
        /// Whether the broker has no more messages for the request.
        drained: bool,
    },
}

impl Mode {
    /// Whether credit is renewed.
    pub fn renews(self) -> bool {
        matches!(self, Mode::Standing | Mode::Careful)
    }

    /// Whether credit is granted only on request.
    pub fn is_on_demand(self) -> bool {
        matches!(self, Mode::OnDemand { .. })
    }

    /// Also true while paused.
    pub fn is_careful(self) -> bool {
        matches!(self, Mode::Careful | Mode::Paused { careful: true })
    }

    /// Stops granting credit.
    pub fn pause(&mut self) {
        *self = match *self {
            Mode::Standing => Mode::Paused { careful: false },
            Mode::Careful => Mode::Paused { careful: true },
            paused @ Mode::Paused { .. } => paused,
            on_demand @ Mode::OnDemand { .. } => on_demand,
        };
    }

    /// Resumes granting credit.
    pub fn resume(&mut self) {
        match *self {
            Mode::Paused { careful: true } => *self = Mode::Careful,
            Mode::Paused { careful: false } => *self = Mode::Standing,
            Mode::Standing | Mode::Careful | Mode::OnDemand { .. } => {}
        }
    }

    /// Switches to credit on request.
    pub fn demand(&mut self) {
        *self = Mode::OnDemand { drained: false };
    }

    /// Records that the broker has no more messages for the request.
    pub fn drained(&mut self) {
        if let Mode::OnDemand { drained } = self {
            *drained = true;
        }
    }

    /// Becomes careful: a delivery that has arrived or is next may have killed a process.
    pub fn suspect(&mut self) {
        match self {
            Mode::Standing => *self = Mode::Careful,
            Mode::Paused { careful } => *careful = true,
            Mode::Careful | Mode::OnDemand { .. } => {}
        }
    }

    /// Stops being careful after an unsuspicious delivery for which PHP waited. True if it was
    /// careful.
    #[must_use]
    pub fn clear(&mut self) -> bool {
        let was_careful = *self == Mode::Careful;
        if was_careful {
            *self = Mode::Standing;
        }
        was_careful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_changes_nothing_of_how_it_goes_on() {
        for before in [Mode::Standing, Mode::Careful] {
            let mut mode = before;
            mode.pause();
            mode.pause();
            assert!(!mode.renews() && !mode.clear());
            assert_eq!(mode.is_careful(), before == Mode::Careful);
            mode.resume();
            assert_eq!(mode, before);
        }
        let mut suspected = Mode::Paused { careful: false };
        suspected.suspect();
        suspected.resume();
        assert!(suspected == Mode::Careful && suspected.clear() && !suspected.clear());
    }

    #[test]
    fn what_is_asked_for_once_stays_so() {
        let mut mode = Mode::Paused { careful: false };
        mode.demand();
        mode.drained();
        for change in [Mode::pause, Mode::resume, Mode::suspect] {
            change(&mut mode);
            assert_eq!(mode, Mode::OnDemand { drained: true });
        }
        mode.demand();
        assert_eq!(mode, Mode::OnDemand { drained: false });
    }
}
