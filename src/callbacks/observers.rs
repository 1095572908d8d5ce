//! The application's observers: of the process, and of queues by their option `observer`.
//!
//! They are called only on PHP's thread. What they throw is reported as a warning and affects
//! nothing else; only `exit()` and fatal errors come through.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};

use ext_php_rs::error::php_error;
use ext_php_rs::flags::ErrorType;
use ext_php_rs::types::Zval;

use crate::convert;
use crate::engine::{self, guarded, interrupts};
use crate::fail::Fail;

/// The option's name.
pub const OPTION: &str = "observer";

/// How many observers there are, over all threads. Almost always zero: then nothing else is read.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The process's observer. Released when the request ends.
    static OF_ALL: RefCell<Option<ManuallyDrop<Zval>>> = const { RefCell::new(None) };
    /// The observers of queues by number, and how many of our objects hold a reference to each. The
    /// table itself holds none.
    static OF_QUEUES: RefCell<BTreeMap<u64, Entry>> = const { RefCell::new(BTreeMap::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
    /// Whether an observer is running. What it does itself is not observed.
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

struct Entry {
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
    /// A watcher of a queue; `observer` must be one.
    pub fn new(observer: &Zval) -> Self {
        let number = LAST.get() + 1;
        LAST.set(number);
        let observer = observer.shallow_clone();
        let entry = Entry {
            observer: engine::borrowed(&observer),
            holders: 1,
            endpoint: String::new(),
        };
        OF_QUEUES.with_borrow_mut(|all| all.insert(number, entry));
        count(1, 0);
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
                    all.remove(&self.number);
                    count(0, 1);
                }
            }
        });
    }
}

/// Sets the process's observer; returns the one before.
pub fn set(observer: Option<&Zval>) -> Option<Zval> {
    let new = observer.map(|observer| ManuallyDrop::new(observer.shallow_clone()));
    let added = usize::from(new.is_some());
    let old = OF_ALL.replace(new);
    count(added, usize::from(old.is_some()));
    old.map(ManuallyDrop::into_inner)
}

/// Counts observers. The first and the last one turn events on and off.
fn count(added: usize, removed: usize) {
    let before = COUNT.fetch_add(added, Ordering::Relaxed);
    let now = before + added - removed;
    COUNT.fetch_sub(removed, Ordering::Relaxed);
    if (before == 0) != (now == 0) {
        amqp1_core::want_events(now > 0);
    }
}

/// Whether there is any observer, and none is running.
#[inline]
pub fn are_there() -> bool {
    COUNT.load(Ordering::Relaxed) > 0 && !IS_RUNNING.get()
}

/// The observers of a queue: the process's, then its own.
pub fn of_queue(number: u64) -> Vec<Zval> {
    let mut all = of_all();
    all.extend(OF_QUEUES.with_borrow(|queues| {
        let entry = queues.get(&number);
        entry.map(|entry| entry.observer.shallow_clone())
    }));
    all
}

/// The observers of an endpoint's connections: the process's, then those of its queues.
pub fn of_endpoint(endpoint: &str) -> Vec<Zval> {
    let mut all = of_all();
    OF_QUEUES.with_borrow(|queues| {
        for entry in queues.values().filter(|entry| entry.endpoint == endpoint) {
            let is_it = |known: &Zval| engine::is_same_object(known, &entry.observer);
            if !all.iter().any(is_it) {
                all.push(entry.observer.shallow_clone());
            }
        }
    });
    all
}

fn of_all() -> Vec<Zval> {
    OF_ALL.with_borrow(|observer| {
        let observer = observer.as_ref();
        observer
            .map(|one| one.shallow_clone())
            .into_iter()
            .collect()
    })
}

/// Calls a method of all observers. A pending exception stays pending.
///
/// # Errors
/// [`Fail::Pending`] if one called `exit()`, [`Fail::Bailout`] if one ended in a fatal error.
pub fn tell(observers: &[Zval], method: &'static str, about: &Zval) -> Result<(), Fail> {
    let before = engine::stash_exception();
    if before.is_exit() {
        before.restore();
        return Ok(());
    }
    let running = IS_RUNNING.replace(true);
    let told = observers
        .iter()
        .try_for_each(|observer| tell_one(observer, method, about));
    IS_RUNNING.set(running);
    before.restore();
    if !running && amqp1_core::has_events() {
        // They waited for it.
        interrupts::request();
    }
    told
}

fn tell_one(observer: &Zval, method: &'static str, about: &Zval) -> Result<(), Fail> {
    match guarded(|| observer.try_call_method(method, vec![about])) {
        Ok(_) => Ok(()),
        Err(Fail::Pending) => {
            let thrown = engine::stash_exception();
            if thrown.is_exit() {
                thrown.restore();
                return Err(Fail::Pending);
            }
            report(observer, method, thrown.into_zval())
        }
        Err(fail) => Err(fail),
    }
}

/// Reports what an observer has thrown. An error handler may turn the warning into an exception,
/// which is dropped.
fn report(observer: &Zval, method: &str, thrown: Option<Zval>) -> Result<(), Fail> {
    let class = convert::type_name(observer);
    let what = match &thrown {
        Some(thrown) => {
            let message = convert::failure(thrown).map(|failure| failure.message);
            format!(
                "{}: {}",
                convert::type_name(thrown),
                message.unwrap_or_default()
            )
        }
        None => String::from("an exception"),
    };
    let message = format!("the observer {class} threw in {method}(): {what}");
    match guarded(|| php_error(&ErrorType::Warning, &message)) {
        Err(Fail::Pending) => {
            let thrown = engine::stash_exception();
            if thrown.is_exit() {
                thrown.restore();
                return Err(Fail::Pending);
            }
            drop(thrown.into_zval());
            Ok(())
        }
        done => done,
    }
}
