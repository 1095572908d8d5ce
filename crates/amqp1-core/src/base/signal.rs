//! The signal that ends a wait, and how a thread waits for it.
//!
//! A thread that waits sleeps in `poll`: for its own event, through which other threads wake it,
//! and for the sockets from which the answer will come. It reads those itself, so that no second
//! thread has to wake for an answer.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{ppoll, PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::base::fork;
use crate::base::marks::Marks;
use crate::base::sync::Mutex;

/// Input that a waiting thread reads itself.
pub(crate) trait Source: Send + Sync {
    /// A caller begins to wait: what was gathered for the peer is sent. `None` if there is nothing
    /// to poll; otherwise, [`Source::leave`] must follow.
    fn enter(&self) -> Option<Polled>;

    /// Reads what is there, and writes what there is room for.
    fn advance(&self);

    /// The caller's wait has ended, or pauses.
    fn leave(&self);
}

/// What a waiting thread polls.
pub(crate) struct Polled {
    pub descriptor: Arc<dyn AsFd + Send + Sync>,
    /// Whether output waits for room.
    pub wants_room: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The signal may have been raised.
    Perhaps,
    /// A Unix signal arrived: its handler should run now.
    Interrupted,
    /// Nothing happened in time.
    TimedOut,
}

/// Wakes a thread that waits for the connection's work.
///
/// A counter behind a lock: a raise between checking and waiting is never missed.
#[derive(Debug, Clone, Default)]
pub struct Signal {
    inner: Arc<Inner>,
    /// What this clone marks when it is raised.
    mark: Option<(Arc<Marks>, usize)>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Also woken.
    task: Option<Arc<Notify>>,
}

#[derive(Default)]
struct State {
    generation: u64,
    sleepers: SmallVec<[Arc<EventFd>; 1]>,
    /// Where the events come from that raise it.
    sources: SmallVec<[Weak<dyn Source>; 1]>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("generation", &self.generation)
            .field("sleepers", &self.sleepers.len())
            .field("sources", &self.sources.len())
            .finish()
    }
}

impl Signal {
    /// A signal that nobody has raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that also wakes a task through `task`.
    pub(crate) fn with_task(task: Arc<Notify>) -> Self {
        let inner = Inner {
            task: Some(task),
            ..Inner::default()
        };
        Self {
            inner: Arc::new(inner),
            mark: None,
        }
    }

    /// The same signal; if it is raised by this clone, it marks `place` as well.
    pub(crate) fn marking(&self, marks: &Arc<Marks>, place: usize) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            mark: Some((Arc::clone(marks), place)),
        }
    }

    /// Makes it as good as new, and keeps its memory. False if anyone else still has it.
    pub(crate) fn renew(&mut self) -> bool {
        let Some(inner) = Arc::get_mut(&mut self.inner) else {
            return false;
        };
        let state = inner.state.get_mut();
        state.sources.clear();
        state.sleepers.is_empty() && inner.task.is_none()
    }

    /// Lets waiting threads read this source, whose input may raise the signal.
    pub(crate) fn comes_from<S: Source + 'static>(&self, source: &Arc<S>) {
        let mut state = self.inner.state.lock();
        let is_it =
            |known: &Weak<dyn Source>| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(source));
        if !state.sources.iter().any(is_it) {
            state.sources.retain(|known| known.strong_count() > 0);
            let source: Weak<S> = Arc::downgrade(source);
            state.sources.push(source);
        }
    }

    /// Wakes all waiters. Makes a system call only if another thread waits.
    pub fn raise(&self) {
        // First, so that whoever is woken finds the mark.
        if let Some((marks, place)) = &self.mark {
            marks.mark(*place);
        }
        let mut state = self.inner.state.lock();
        state.generation = state.generation.wrapping_add(1);
        for sleeper in &state.sleepers {
            // It fails only if the counter is full, and then the thread is awake anyway.
            let _ = sleeper.write(1);
        }
        drop(state);
        if let Some(task) = &self.inner.task {
            task.notify_one();
        }
    }

    /// The counter for [`Signal::wait`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.state.lock().generation
    }

    /// Waits until the signal is raised after `seen` was read, and reads its sources meanwhile.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration) -> Woken {
        let mut entered = SmallVec::<[Entered; 2]>::new();
        let mut sources = SmallVec::<[Arc<dyn Source>; 2]>::new();
        let event = event();
        {
            let mut state = self.inner.state.lock();
            if state.generation != seen {
                return Woken::Perhaps;
            }
            // From here on, a raise ends the sleep, even before it has begun.
            state.sleepers.extend(event.clone());
            sources.extend(state.sources.iter().filter_map(Weak::upgrade));
        }
        for source in sources {
            // Not under the lock: a source raises signals under its own.
            if let Some(polled) = source.enter() {
                entered.push(Entered { source, polled });
            }
        }
        // Without an event, nothing ends the sleep.
        if event.is_none() && self.generation() != seen {
            return Woken::Perhaps;
        }
        let ready = sleep(event.as_deref(), &entered, timeout);
        if let Some(event) = &event {
            let mut state = self.inner.state.lock();
            let place = state
                .sleepers
                .iter()
                .position(|one| Arc::ptr_eq(one, event));
            if let Some(place) = place {
                state.sleepers.swap_remove(place);
            }
        }
        match ready {
            Ok(ready) if ready.is_empty() => Woken::TimedOut,
            Ok(ready) => {
                for place in ready {
                    match place.checked_sub(1) {
                        Some(place) => entered[place].source.advance(),
                        None => event.iter().for_each(|event| clear(event)),
                    }
                }
                Woken::Perhaps
            }
            Err(_) => Woken::Interrupted,
        }
    }
}

/// Makes the event ready to be raised again.
fn clear(event: &EventFd) {
    // It fails only if another thread has cleared it, which there is none to do.
    let _ = event.read();
}

/// A source that a waiting thread polls. Left on drop.
struct Entered {
    source: Arc<dyn Source>,
    polled: Polled,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.source.leave();
    }
}

/// Sleeps until something is ready: zero is the event, and the sources follow.
fn sleep(
    event: Option<&EventFd>,
    entered: &[Entered],
    timeout: Duration,
) -> Result<SmallVec<[usize; 4]>, Errno> {
    let mut polled = SmallVec::<[PollFd<'_>; 4]>::new();
    let placeholder: Option<BorrowedFd<'_>> =
        entered.first().map(|one| one.polled.descriptor.as_fd());
    match (event, placeholder) {
        (Some(event), _) => polled.push(PollFd::new(event.as_fd(), PollFlags::POLLIN)),
        // Without an event of its own (no more descriptors), it looks again after each slice.
        (None, Some(any)) => polled.push(PollFd::new(any, PollFlags::empty())),
        (None, None) => {
            std::thread::sleep(timeout);
            return Ok(SmallVec::new());
        }
    }
    for one in entered {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, one.polled.wants_room);
        polled.push(PollFd::new(one.polled.descriptor.as_fd(), flags));
    }
    ppoll(&mut polled, Some(TimeSpec::from_duration(timeout)), None)?;
    let ready = polled.iter().enumerate();
    let ready = ready.filter(|(_, one)| one.any() == Some(true));
    Ok(ready.map(|(place, _)| place).collect())
}

/// The event through which this thread is woken. A child must not share its parent's.
fn event() -> Option<Arc<EventFd>> {
    thread_local! {
        static EVENT: RefCell<Option<(u64, Arc<EventFd>)>> = const { RefCell::new(None) };
    }
    EVENT.with(|own| {
        let mut own = own.borrow_mut();
        match &*own {
            Some((generation, event)) if *generation == fork::generation() => {
                return Some(Arc::clone(event));
            }
            _ => {}
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = Arc::new(EventFd::from_value_and_flags(0, flags).ok()?);
        *own = Some((fork::generation(), Arc::clone(&event)));
        Some(event)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Raises `signal` when something can be read.
    struct Pipe {
        ours: Arc<UnixStream>,
        signal: Signal,
        entered: AtomicUsize,
        left: AtomicUsize,
    }

    impl Source for Pipe {
        fn enter(&self) -> Option<Polled> {
            self.entered.fetch_add(1, Ordering::Relaxed);
            let ours = Arc::clone(&self.ours);
            Some(Polled {
                descriptor: ours,
                wants_room: false,
            })
        }

        fn advance(&self) {
            self.signal.raise();
        }

        fn leave(&self) {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pipe(signal: &Signal) -> (Arc<Pipe>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pipe = Arc::new(Pipe {
            ours: Arc::new(ours),
            signal: signal.clone(),
            entered: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        });
        signal.comes_from(&pipe);
        (pipe, theirs)
    }

    #[test]
    fn a_raise_before_the_wait_and_from_another_thread_ends_it() {
        let signal = Signal::new();
        let seen = signal.generation();
        signal.raise();
        assert_eq!(signal.wait(seen, LONG), Woken::Perhaps);
        let seen = signal.generation();
        let other = signal.clone();
        let thread = std::thread::spawn(move || other.raise());
        while signal.generation() == seen {
            assert_eq!(signal.wait(seen, LONG), Woken::Perhaps);
        }
        thread.join().unwrap();
        let seen = signal.generation();
        assert_eq!(signal.wait(seen, Duration::from_millis(1)), Woken::TimedOut);
    }

    #[test]
    fn a_waiting_thread_reads_the_source_itself() {
        let signal = Signal::new();
        let (pipe, mut theirs) = pipe(&signal);
        // Known once, however often it is told.
        signal.comes_from(&pipe);
        let seen = signal.generation();
        assert_eq!(signal.wait(seen, Duration::from_millis(1)), Woken::TimedOut);
        std::io::Write::write_all(&mut theirs, b"x").unwrap();
        assert_eq!(signal.wait(seen, LONG), Woken::Perhaps);
        assert_ne!(signal.generation(), seen);
        assert_eq!(pipe.entered.load(Ordering::Relaxed), 2);
        assert_eq!(pipe.left.load(Ordering::Relaxed), 2);
        // Raised between looking and sleeping: it is left all the same.
        assert_eq!(signal.wait(seen, LONG), Woken::Perhaps);
        drop(pipe);
        let seen = signal.generation();
        assert_eq!(signal.wait(seen, Duration::from_millis(1)), Woken::TimedOut);
    }
}
