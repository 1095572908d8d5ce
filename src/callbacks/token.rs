//! The option `token` of Service Bus: a token, or a callable that returns one.
//!
//! The callable is called only on the PHP thread that passed it, during a call that may block. It
//! stays in a table of that thread; the core knows its number. Connections are shared by number, and
//! they are authenticated: numbers must differ wherever the tokens may.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::ManuallyDrop;
use std::sync::Arc;

use amqp1_core::servicebus::token::{Token, TokenOption, TokenSource};
use amqp1_core::{Error, Result};
use ext_php_rs::types::{ZendCallable, Zval};

use super::next_number;
use crate::convert;
use crate::engine::{callables, guarded};
use crate::fail::Fail;

thread_local! {
    /// Not dropped with the thread, because PHP's memory is already freed then.
    static CALLABLES: RefCell<HashMap<u64, ManuallyDrop<Zval>>> = RefCell::default();
    static BAILED_OUT: Cell<bool> = const { Cell::new(false) };
}

/// The option's name.
pub const OPTION: &str = "token";

/// A callable that returns tokens.
#[derive(Debug)]
enum Source {
    /// A function or static method. It is the same in the next request, and so are its connections;
    /// but not if another file defines it, as in another application in the same process.
    Named(u64, String),
    /// A closure or an object, stored in the table under its number.
    Held(u64),
}

/// Reads the option for the core; `None` if the core reads it itself, as it does text.
pub fn read(value: &Zval, method: &str) -> std::result::Result<Option<TokenOption>, Fail> {
    let value = value.dereference();
    if value.is_null() || (value.is_string() && !value.is_callable()) {
        return Ok(None);
    }
    if !value.is_callable() {
        return Err(convert::mismatch(
            &format_args!("{method}: option '{OPTION}'"),
            "a token or a callable that returns one",
            value,
        ));
    }
    let source = match value.zend_str().and_then(|name| name.as_str().ok()) {
        Some(name) => {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            callables::defined_in(value).hash(&mut hasher);
            // The highest bit distinguishes hashes from counted numbers.
            Source::Named(hasher.finish() | 1 << 63, name.to_owned())
        }
        None => {
            let number = next_number();
            let held = ManuallyDrop::new(value.shallow_clone());
            CALLABLES.with_borrow_mut(|all| all.insert(number, held));
            Source::Held(number)
        }
    };
    Ok(Some(TokenOption::Source(Arc::new(source))))
}

/// Whether a callable ended in a fatal error since the last call of this function.
pub fn has_bailed_out() -> bool {
    BAILED_OUT.replace(false)
}

/// Records that a callable ended in a fatal error, so that the call that called it ends in it too.
pub fn note_bailout() {
    BAILED_OUT.set(true);
}

impl TokenSource for Source {
    fn token(&self, audience: &str) -> Result<Token> {
        let callable = match self {
            Source::Named(_, name) => {
                let mut callable = Zval::new();
                let named = callable.set_string(name, false);
                named.ok().map(|()| callable)
            }
            Source::Held(number) => {
                CALLABLES.with_borrow(|all| all.get(number).map(|held| held.shallow_clone()))
            }
        };
        let no_callable = || Error::config("option 'token': the callable no longer exists");
        let callable = callable.ok_or_else(no_callable)?;
        let called = guarded(|| {
            let audience = audience.to_owned();
            ZendCallable::new(&callable).and_then(|call| call.try_call(vec![&audience]))
        });
        match called {
            Ok(Ok(given)) => of(&given),
            Ok(Err(_)) => Err(no_callable()),
            Err(fail) => {
                BAILED_OUT.set(matches!(fail, Fail::Bailout));
                Err(Error::interrupted(
                    "option 'token': the callable threw an exception",
                ))
            }
        }
    }

    fn number(&self) -> u64 {
        match self {
            Source::Named(number, _) | Source::Held(number) => *number,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let Source::Held(number) = self else {
            return;
        };
        let held = CALLABLES.with_borrow_mut(|all| all.remove(number));
        // Outside the borrow: a destructor may create another queue.
        drop(held.map(ManuallyDrop::into_inner));
        // No one else can call this callable, so its connections are useless now.
        amqp1_core::servicebus::forget_callback(*number);
    }
}

/// Reads the callable's result: a token, or an array with a token and its expiry. Errors never
/// contain it.
fn of(given: &Zval) -> Result<Token> {
    let wrong = |why: &str| {
        Error::authentication(format!(
            "option 'token': the value that the callable returned {why}; expected a token, or ['token' => string, 'expires' => Unix seconds]"
        ))
    };
    let given = given.dereference();
    if let Some(array) = given.array() {
        let text = array
            .get(OPTION)
            .and_then(|token| token.dereference().str());
        let text = text.ok_or_else(|| wrong("lacks 'token'"))?;
        let mut token = Token::read(text).map_err(wrong)?;
        let expires = array.get("expires").map(Zval::dereference);
        match expires.filter(|expires| !expires.is_null()) {
            None => {}
            Some(expires) => {
                let seconds = expires
                    .long()
                    .and_then(|seconds| u64::try_from(seconds).ok());
                token.expires = Some(seconds.ok_or_else(|| wrong("has an invalid 'expires'"))?);
            }
        }
        return Ok(token);
    }
    match given.str() {
        Some(text) => Token::read(text).map_err(wrong),
        None => Err(wrong("is not a string")),
    }
}
