//! Tells the observers about copies: jobs that the client itself sends again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::time::Instant;

use amqp1_core::{AddedHeaders, CopyFacts, CopyObserver, Error};

use super::push::PushFacts;
use super::pushes::{shown, Observed};
use crate::callbacks::{token, watchers};
use crate::fail::Fail;

thread_local! {
    /// Copies that are being sent. Not dropped with the thread, because PHP's memory is already
    /// freed then.
    static SENT: RefCell<HashMap<u64, ManuallyDrop<Observed>>> = RefCell::default();
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The core's observer.
#[derive(Debug)]
pub struct Copies;

impl CopyObserver for Copies {
    fn before(
        &self,
        observer: u64,
        copy: &CopyFacts<'_>,
    ) -> amqp1_core::Result<Option<(u64, AddedHeaders)>> {
        let facts = || PushFacts {
            operation: copy.operation,
            target: copy.target.clone(),
            id: copy.id.to_owned(),
            name: copy.name.to_owned(),
            index: None,
            is_last: false,
            correlation_id: None,
            size: copy.size,
            headers: headers(copy),
            added: Vec::new(),
            started: Instant::now(),
            outcome: None,
        };
        let Some(observed) = Observed::begin(observer, facts).map_err(interrupted)? else {
            return Ok(None);
        };
        let added = observed.push().map(|push| push.take_added());
        let number = LAST.get() + 1;
        LAST.set(number);
        SENT.with_borrow_mut(|sent| sent.insert(number, ManuallyDrop::new(observed)));
        Ok(Some((number, added.unwrap_or_default())))
    }

    fn after(&self, number: u64, error: Option<&Error>) -> amqp1_core::Result<()> {
        let observed = SENT.with_borrow_mut(|sent| sent.remove(&number));
        match observed.map(ManuallyDrop::into_inner) {
            Some(observed) => observed.end(error, None).map_err(interrupted),
            None => Ok(()),
        }
    }

    fn is_wanted(&self) -> bool {
        watchers::are_there()
    }
}

/// An observer called `exit()`, or ended in a fatal error.
fn interrupted(fail: Fail) -> Error {
    match fail {
        Fail::Core(error) => error,
        Fail::Bailout => {
            token::note_bailout();
            Error::interrupted("an observer ended in a fatal error")
        }
        _ => Error::interrupted("an observer called exit()"),
    }
}

/// The original's headers, and those that replace them.
fn headers(copy: &CopyFacts<'_>) -> Vec<(amqp1_core::BString, Vec<amqp1_core::BString>)> {
    let mut all = shown(copy.changed);
    for (name, values) in copy.headers.iter() {
        if !copy.changed.iter().any(|(new, _)| new.as_bytes() == name) {
            let values = values.iter().map(ToOwned::to_owned);
            all.push((name.into(), values.collect()));
        }
    }
    all
}
