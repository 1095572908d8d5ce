//! Observers and loggers of queues, by their options `observer` and `logger`: who they are, for how
//! long, and whether one is running.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};

use amqp1_core::threads;
use ext_php_rs::types::Zval;

use super::next_number;
use crate::engine;

/// How many observers there are, over all threads. Almost always zero: then nothing else is read.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many observers, loggers and log files of this thread take events.
    static TAKERS: Cell<usize> = const { Cell::new(0) };
    /// By number, and how many of our objects hold a reference to each. The table itself holds none.
    static OF_QUEUES: RefCell<BTreeMap<u64, Entry>> = const { RefCell::new(BTreeMap::new()) };
    /// Whether an observer or a logger is running. What it does itself is not observed.
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// What a queue's option is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The option `observer`.
    Observer,
    /// The option `logger`.
    Logger,
}

struct Entry {
    kind: Kind,
    /// Without a reference.
    observer: ManuallyDrop<Zval>,
    holders: usize,
    endpoint: String,
}

/// A reference to a queue's observer. Each of our PHP objects that needs it holds one, and reports
/// it to the garbage collector.
#[derive(Debug)]
pub struct Watcher {
    number: u64,
    observer: Zval,
}

impl Watcher {
    /// A watcher of a queue; `observer` must be one, or a logger.
    pub fn new(kind: Kind, observer: &Zval) -> Self {
        let number = next_number();
        let observer = observer.shallow_clone();
        let entry = Entry {
            kind,
            observer: engine::borrowed(&observer),
            holders: 1,
            endpoint: String::new(),
        };
        OF_QUEUES.with_borrow_mut(|all| all.insert(number, entry));
        count(kind, 1, 0);
        Self { number, observer }
    }

    /// Another reference to the observer with this number, if there still is one.
    pub fn of(number: u64) -> Option<Self> {
        if number == 0 {
            return None;
        }
        OF_QUEUES.with_borrow_mut(|all| {
            let entry = all.get_mut(&number)?;
            entry.holders += 1;
            let observer = entry.observer.shallow_clone();
            Some(Self { number, observer })
        })
    }

    /// References to a queue's observer and logger.
    pub fn all_of(queue: &amqp1_core::Queue) -> Vec<Self> {
        let numbers = [queue.observer(), queue.logger()];
        numbers.into_iter().filter_map(Self::of).collect()
    }

    /// Whose connections are observed as well.
    pub fn watches(&self, endpoint: &str) {
        OF_QUEUES.with_borrow_mut(|all| {
            if let Some(entry) = all.get_mut(&self.number) {
                endpoint.clone_into(&mut entry.endpoint);
            }
        });
    }

    /// The option's value for the core.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The observer, for the garbage collector.
    pub fn observer(&self) -> &Zval {
        &self.observer
    }
}

impl Clone for Watcher {
    fn clone(&self) -> Self {
        OF_QUEUES.with_borrow_mut(|all| {
            if let Some(entry) = all.get_mut(&self.number) {
                entry.holders += 1;
            }
        });
        Self {
            number: self.number,
            observer: self.observer.shallow_clone(),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The reference itself is dropped after this, outside the borrow: a destructor may create
        // another queue.
        OF_QUEUES.with_borrow_mut(|all| {
            if let Some(entry) = all.get_mut(&self.number) {
                entry.holders -= 1;
                if entry.holders == 0 {
                    let kind = entry.kind;
                    all.remove(&self.number);
                    count(kind, 0, 1);
                }
            }
        });
    }
}

/// Counts observers, and who takes events.
pub(super) fn count(kind: Kind, added: usize, removed: usize) {
    if kind == Kind::Observer {
        COUNT.fetch_add(added, Ordering::Relaxed);
        COUNT.fetch_sub(removed, Ordering::Relaxed);
    }
    want_events(added, removed);
}

/// Changes the number of those who take events on this thread. The first and the last one turn them
/// on and off.
pub fn want_events(added: usize, removed: usize) {
    let before = TAKERS.get();
    let now = before + added - removed;
    TAKERS.set(now);
    if (before == 0) != (now == 0) {
        threads::want_events(now > 0);
    }
}

/// Whether there is any observer, and none is running.
#[inline]
pub fn are_there() -> bool {
    COUNT.load(Ordering::Relaxed) > 0 && !IS_RUNNING.get()
}

/// The observer of a queue.
pub(super) fn of_queue(number: u64) -> Option<Zval> {
    OF_QUEUES.with_borrow(|queues| {
        let entry = queues.get(&number)?;
        Some(entry.observer.shallow_clone())
    })
}

/// Adds the observers or loggers of an endpoint's queues, each once.
pub(super) fn add_of_endpoint(kind: Kind, endpoint: &str, all: &mut Vec<Zval>) {
    OF_QUEUES.with_borrow(|queues| {
        let theirs = |entry: &&Entry| entry.kind == kind && entry.endpoint == endpoint;
        for entry in queues.values().filter(theirs) {
            let is_it = |known: &Zval| engine::is_same_object(known, &entry.observer);
            if !all.iter().any(is_it) {
                all.push(entry.observer.shallow_clone());
            }
        }
    });
}

/// Runs code of the application that is not to be observed.
pub(super) fn running<T>(run: impl FnOnce() -> T) -> T {
    let before = IS_RUNNING.replace(true);
    let done = run();
    IS_RUNNING.set(before);
    if !before && threads::has_events() {
        // They waited for it.
        threads::interrupt();
    }
    done
}

/// Whether such code is running.
pub fn is_running() -> bool {
    IS_RUNNING.get()
}
