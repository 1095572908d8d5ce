//! The application's threads: what each of them is to be told, and how it is interrupted.
//!
//! In PHP without threads there is one. In thread-safe PHP (ZTS), threads come and go, and the
//! client, its connections and its I/O thread belong to all of them: what happens to a connection is
//! told to each thread that listens, and each has its own interruption.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::events::Event;
use super::fork;
use super::per_process::PerProcess;

/// The most events that wait for a thread. The oldest are dropped first.
const MAX: usize = 1000;

static THREADS: PerProcess<Vec<Thread>> = PerProcess::new();
/// Whether any thread takes events, and whether any is interrupted. Almost always false: then
/// nothing else is looked at. In a child, they may be true without reason.
static ANY_WANTS: AtomicBool = AtomicBool::new(false);
static ANY_INTERRUPTED: AtomicBool = AtomicBool::new(false);

struct Thread {
    number: u64,
    wants_events: bool,
    events: VecDeque<Event>,
    /// Jobs that are being processed may be lost.
    is_lost: bool,
    is_interrupted: bool,
    /// What interrupts it; `None` between two requests.
    flag: Option<&'static AtomicBool>,
}

impl Thread {
    fn interrupt(&mut self) {
        self.is_interrupted = true;
        if let Some(flag) = self.flag {
            flag.store(true, Ordering::Release);
        }
    }
}

/// What a thread knows about itself, to be there again in a child.
#[derive(Clone, Copy)]
struct Own {
    /// 0: not there yet.
    number: u64,
    generation: u64,
    wants_events: bool,
    flag: Option<&'static AtomicBool>,
}

/// Removes the thread when it ends.
struct OwnCell(Cell<Own>);

impl Drop for OwnCell {
    fn drop(&mut self) {
        let own = self.0.get();
        if own.number > 0 && own.generation == fork::generation() {
            all(|threads| threads.retain(|thread| thread.number != own.number));
        }
    }
}

thread_local! {
    static OWN: OwnCell = const {
        OwnCell(Cell::new(Own { number: 0, generation: 0, wants_events: false, flag: None }))
    };
}

/// Calls `work` with all threads.
fn all<R>(work: impl FnOnce(&mut Vec<Thread>) -> R) -> R {
    THREADS.with(
        |_| Vec::new(),
        |threads| {
            let done = work(threads);
            let any = |is: fn(&Thread) -> bool| threads.iter().any(is);
            ANY_WANTS.store(any(|thread| thread.wants_events), Ordering::Relaxed);
            ANY_INTERRUPTED.store(any(|thread| thread.is_interrupted), Ordering::Release);
            done
        },
    )
}

/// Calls `work` with this thread, after `change`.
fn own<R: Default>(change: impl FnOnce(&mut Own), work: impl FnOnce(&mut Thread) -> R) -> R {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // A thread that ends is told nothing more.
    let known = OWN.try_with(|cell| {
        let mut own = cell.0.get();
        if own.number == 0 {
            own.number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        }
        own.generation = fork::generation();
        change(&mut own);
        cell.0.set(own);
        own
    });
    let Ok(own) = known else {
        return R::default();
    };
    all(|threads| {
        let place = threads
            .iter()
            .position(|thread| thread.number == own.number);
        let place = place.unwrap_or_else(|| {
            threads.push(Thread {
                number: own.number,
                wants_events: false,
                events: VecDeque::new(),
                is_lost: false,
                is_interrupted: false,
                flag: None,
            });
            threads.len() - 1
        });
        let thread = &mut threads[place];
        thread.wants_events = own.wants_events;
        thread.flag = own.flag;
        work(thread)
    })
}

/// In a child, only the thread that forked is still there. Call it before the client does anything
/// that this thread must be told of.
pub(crate) fn come_along() {
    let is_known = OWN.try_with(|cell| {
        let own = cell.0.get();
        own.number == 0 || own.generation == fork::generation()
    });
    if is_known == Ok(false) {
        own(|_| {}, |_| {});
    }
}

/// A request begins on this thread. From now on, `flag` is set to interrupt it, by any thread.
pub fn enter(flag: &'static AtomicBool) {
    own(
        |own| own.flag = Some(flag),
        |thread| {
            if thread.is_interrupted {
                thread.interrupt();
            }
        },
    );
}

/// The request ends: the flag is not touched any more, because its memory may be freed with the
/// thread. Events wait for the next request.
pub fn leave() {
    own(|own| own.flag = None, |_| {});
}

/// Interrupts this thread.
pub fn interrupt() {
    own(|_| {}, Thread::interrupt);
}

/// Whether this thread was interrupted and has not noticed.
#[inline]
#[must_use]
pub fn is_interrupted() -> bool {
    ANY_INTERRUPTED.load(Ordering::Acquire) && own(|_| {}, |thread| thread.is_interrupted)
}

/// Notices an interruption.
#[must_use]
pub fn take_interruption() -> bool {
    ANY_INTERRUPTED.load(Ordering::Acquire)
        && own(|_| {}, |thread| std::mem::take(&mut thread.is_interrupted))
}

/// Whether jobs that this process works on may have been lost since the last call.
#[must_use]
pub fn take_lost() -> bool {
    own(|_| {}, |thread| std::mem::take(&mut thread.is_lost))
}

/// Tells all threads that jobs in progress may be lost: who has them finds out.
pub(crate) fn tell_lost() {
    come_along();
    all(|threads| {
        for thread in threads {
            thread.is_lost = true;
            thread.interrupt();
        }
    });
}

/// Says whether this thread takes events. If not, none are kept for it.
pub fn want_events(wanted: bool) {
    own(
        |own| own.wants_events = wanted,
        |thread| {
            if !wanted {
                thread.events.clear();
            }
        },
    );
}

/// The events since this thread's last call.
#[must_use]
pub fn take_events() -> VecDeque<Event> {
    own(|_| {}, |thread| std::mem::take(&mut thread.events))
}

/// Whether there are events for this thread to take.
#[must_use]
pub fn has_events() -> bool {
    own(|_| {}, |thread| !thread.events.is_empty())
}

/// Queues an event for each thread that takes them.
pub(crate) fn emit(event: impl FnOnce() -> Event) {
    if !ANY_WANTS.load(Ordering::Relaxed) {
        return;
    }
    come_along();
    let event = event();
    all(|threads| {
        for thread in threads.iter_mut().filter(|thread| thread.wants_events) {
            if thread.events.len() >= MAX {
                thread.events.pop_front();
            }
            thread.events.push_back(event.clone());
            thread.interrupt();
        }
    });
}
