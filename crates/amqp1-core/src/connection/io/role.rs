//! Who looks for the broker's bytes: the driver, or the callers that wait for them.
//!
//! Anyone may read, under the connection's lock. The role only decides who is woken for it. A
//! caller that waits polls the socket itself, so that an answer wakes one thread and not two. The
//! driver therefore lets go of the socket as soon as it was woken for a caller. It does not follow
//! each call after that: at each [`TICK`] it looks whether callers have come or gone since the last
//! one, and takes the socket back if they have not.
//!
//! ```text
//!                    input, and a caller waits
//!        ┌────────┐ ──────────────────────────▶ ┌─────────┐
//!   ───▶ │ Driver │                             │ Callers │ ⟲ a tick, and callers came or went
//!        └────────┘ ◀────────────────────────── └─────────┘
//!                    a tick, and none did
//! ```
//!
//! Thus there is always someone who will read: the driver's registration, a caller in `poll`, or
//! the next tick.

use std::time::Duration;

/// How often the driver looks whether callers still come.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The same while they come so often, or wait for so long, that a tick costs more than it finds. When
/// PHP then works for longer, input waits for at most this and another [`TICK`], and gathered output
/// for this.
const LONG_TICK: Duration = Duration::from_millis(20);

/// As many callers in one tick are often.
const OFTEN: u8 = 3;

/// For so many [`LONG_TICK`]s, the driver leaves the socket to a caller that waits for one answer,
/// for example over a slow line. After that, it is told of input as well, and ticks no more. This
/// must happen within one slice of a wait ([`crate::base::wait::SLICE`]), because a caller goes and
/// comes between two of them.
const PATIENCE: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// The driver is registered for the socket. Callers that wait poll it, too.
    Driver { callers: u32 },
    /// The callers read, and the driver ticks. `came`: how many came since the last tick; at least
    /// one if one went. `waited`: the ticks in which none did, while one waited.
    Callers { callers: u32, came: u8, waited: u8 },
}

impl Default for Role {
    fn default() -> Self {
        Role::Driver { callers: 0 }
    }
}

impl Role {
    /// A caller begins to poll.
    pub fn enter(&mut self) {
        match self {
            Role::Driver { callers } => *callers += 1,
            Role::Callers { callers, came, .. } => {
                (*callers, *came) = (*callers + 1, OFTEN.min(*came + 1));
            }
        }
    }

    /// A caller has stopped polling.
    pub fn leave(&mut self) {
        match self {
            Role::Driver { callers } => *callers = callers.saturating_sub(1),
            Role::Callers { callers, came, .. } => {
                (*callers, *came) = (callers.saturating_sub(1), (*came).max(1));
            }
        }
    }

    /// Whether the driver looks by the clock, and need not be told of timers and output.
    pub fn is_ticking(self) -> bool {
        matches!(self, Role::Callers { .. })
    }

    /// The driver was woken by input: whether it reads. Otherwise a caller does.
    pub fn on_input(&mut self) -> bool {
        match *self {
            Role::Driver { callers: 0 } => true,
            Role::Driver { callers } => {
                *self = Role::Callers {
                    callers,
                    came: 1,
                    waited: 0,
                };
                false
            }
            Role::Callers { .. } => false,
        }
    }

    /// A tick has passed. Returns the time until the next one.
    pub fn on_tick(&mut self) -> Duration {
        let Role::Callers {
            callers,
            came,
            waited,
        } = *self
        else {
            return TICK;
        };
        if came == 0 && (callers == 0 || waited >= PATIENCE) {
            *self = Role::Driver { callers };
            return TICK;
        }
        *self = Role::Callers {
            callers,
            came: 0,
            waited: if came == 0 { waited + 1 } else { 0 },
        };
        // A tick finds a caller that waits if waiting is what PHP does most: each job or answer takes
        // the broker some milliseconds then, and a tick between two of them costs as much as one.
        if callers > 0 || came >= OFTEN {
            return LONG_TICK;
        }
        TICK
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// Two callers, the driver and the socket, in all orders of their steps.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    struct World {
        role: Role,
        /// Whether bytes wait in the socket.
        unread: bool,
        callers: [Caller; 2],
        /// Whether the driver's registration has an event that it has not looked at. An event comes
        /// once for each arrival, as with an edge-triggered epoll.
        event: bool,
        /// Whether the driver is registered; it follows the role when it next runs.
        is_registered: bool,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Caller {
        Away,
        Polling,
        /// Has come back from `poll`, and not read yet.
        Woken,
    }

    const BEGIN: World = World {
        role: Role::Driver { callers: 0 },
        unread: false,
        callers: [Caller::Away; 2],
        event: false,
        is_registered: true,
    };

    impl World {
        fn arrive(mut self) -> Self {
            self.unread = true;
            self.event |= self.is_registered;
            self
        }

        /// Everything that may happen next, without new bytes.
        fn next(self) -> Vec<Self> {
            let mut all = Vec::new();
            let mut add = |step: &dyn Fn(&mut World)| {
                let mut world = self;
                step(&mut world);
                all.push(world);
            };
            for at in 0..self.callers.len() {
                match self.callers[at] {
                    Caller::Away => add(&|world| {
                        world.role.enter();
                        world.callers[at] = Caller::Polling;
                    }),
                    Caller::Polling => {
                        // Level-triggered.
                        if self.unread {
                            add(&|world| world.callers[at] = Caller::Woken);
                        }
                        // Its time is over, or another thread woke it.
                        add(&|world| world.away(at));
                    }
                    Caller::Woken => {
                        add(&|world| {
                            world.unread = false;
                            world.away(at);
                        });
                        // It reads only what it waits for.
                        add(&|world| world.away(at));
                    }
                }
            }
            if self.event {
                add(&|world| world.wake());
            }
            if self.role.is_ticking() {
                add(&|world| world.tick());
            }
            all
        }

        fn away(&mut self, at: usize) {
            self.role.leave();
            self.callers[at] = Caller::Away;
        }

        /// The driver was woken by its event.
        fn wake(&mut self) {
            self.event = false;
            if self.role.on_input() {
                self.unread = false;
            }
            self.follow();
        }

        fn tick(&mut self) {
            self.role.on_tick();
            self.follow();
        }

        fn follow(&mut self) {
            let before = std::mem::replace(&mut self.is_registered, !self.role.is_ticking());
            // A new registration reports what is already there.
            self.event = self.is_registered && (self.event || (!before && self.unread));
        }

        /// Whether the bytes are read if the callers do nothing but what they do in `poll`.
        fn is_read_alone(mut self) -> bool {
            for _ in 0..8 {
                if !self.unread || self.callers.iter().any(|one| *one != Caller::Away) {
                    return true; // Read, or one wakes and reads.
                }
                if self.event {
                    self.wake();
                } else if self.role.is_ticking() {
                    self.tick();
                } else {
                    return false; // The driver sleeps, and nothing wakes it.
                }
            }
            false
        }
    }

    #[test]
    fn nothing_stays_unread_in_any_order_of_the_steps() {
        let (mut seen, mut open) = (HashSet::from([BEGIN]), VecDeque::from([BEGIN]));
        while let Some(world) = open.pop_front() {
            assert!(world.is_read_alone(), "{world:?}");
            for next in world.next().into_iter().chain([world.arrive()]) {
                if seen.insert(next) {
                    open.push_back(next);
                }
            }
        }
        // Few enough to look at all, and more than one would think of.
        assert!(seen.len() > 40, "{}", seen.len());
    }

    #[test]
    fn one_thread_wakes_while_callers_come_and_go() {
        let mut role = Role::default();
        role.enter();
        assert!(!role.on_input());
        role.leave();
        for _ in 0..3 {
            assert_eq!(role.on_tick(), TICK);
            assert!(role.is_ticking());
            role.enter();
            role.leave();
        }
        for _ in 0..OFTEN {
            role.enter();
            role.leave();
        }
        assert_eq!(role.on_tick(), LONG_TICK);
        role.enter();
        role.leave();
        assert_eq!(role.on_tick(), TICK);
        assert!(role.is_ticking());
        role.on_tick();
        assert_eq!(role, Role::Driver { callers: 0 });
    }

    /// A broker that needs some milliseconds for each answer, as one that writes to a slow disk.
    #[test]
    fn few_ticks_while_php_mostly_waits() {
        let mut role = Role::default();
        role.enter();
        role.on_input();
        for _ in 0..10 {
            role.leave();
            role.enter();
            assert_eq!(role.on_tick(), LONG_TICK);
            assert!(role.is_ticking());
        }
    }

    #[test]
    fn an_idle_caller_costs_no_ticks() {
        let mut role = Role::default();
        role.enter();
        role.on_input();
        (0..5).for_each(|_| role.enter());
        (0..5).for_each(|_| role.leave());
        let (mut passed, mut next) = (Duration::ZERO, TICK);
        while role.is_ticking() {
            passed += next;
            next = role.on_tick();
        }
        assert!(passed < crate::base::wait::SLICE, "{passed:?}");
        role.leave();
        role.enter();
        assert!(!role.is_ticking());
    }

    #[test]
    fn a_caller_that_waits_long_shares_the_socket_with_the_driver() {
        let mut role = Role::Callers {
            callers: 0,
            came: 0,
            waited: 0,
        };
        role.enter();
        assert_eq!(role.on_tick(), LONG_TICK);
        for _ in 0..PATIENCE {
            assert_eq!(role.on_tick(), LONG_TICK);
            assert!(role.is_ticking(), "it reads by itself");
        }
        role.on_tick();
        assert_eq!(role, Role::Driver { callers: 1 });
        role.leave();
        assert!(role.on_input());
    }
}
