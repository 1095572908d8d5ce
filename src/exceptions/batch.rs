//! `BatchException`: some jobs of a batch failed.

use std::panic::AssertUnwindSafe;

use amqp1_core::Error;
use ext_php_rs::builders::{ClassBuilder, ClassProperty, FunctionBuilder};
use ext_php_rs::exception::throw_object;
use ext_php_rs::flags::{DataType, MethodFlags, PropertyFlags};
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::{run_handler, ClassEntry, ExecuteData};

use super::{class_entry, object, set, Class};

extern "C" {
    fn zend_read_property(
        scope: *mut ClassEntry,
        object: *mut ZendObject,
        name: *const libc::c_char,
        name_length: usize,
        silent: bool,
        rv: *mut Zval,
    ) -> *mut Zval;
}

const FAILURES: &str = "failures";
const CONFIRMED: &str = "confirmedIds";

/// Adds two lists to the class, which are set once, when it is thrown.
pub fn with_members(builder: ClassBuilder) -> ClassBuilder {
    let property = |name: &str| ClassProperty {
        name: name.to_owned(),
        flags: PropertyFlags::Private,
        default: None,
        docs: &[],
        ty: None,
        nullable: false,
        readonly: false,
        default_stub: None,
    };
    let getter = |name: &str, handler| {
        FunctionBuilder::new(name, handler).returns(DataType::Array, false, false)
    };
    builder
        .property(property(FAILURES))
        .property(property(CONFIRMED))
        .method(getter("getFailures", get_failures), MethodFlags::Public)
        .method(
            getter("getConfirmedIds", get_confirmed),
            MethodFlags::Public,
        )
}

extern "C" fn get_failures(call: &mut ExecuteData, retval: &mut Zval) {
    run_handler(AssertUnwindSafe(|| read_list(call, retval, FAILURES)));
}

extern "C" fn get_confirmed(call: &mut ExecuteData, retval: &mut Zval) {
    run_handler(AssertUnwindSafe(|| read_list(call, retval, CONFIRMED)));
}

fn read_list(call: &mut ExecuteData, retval: &mut Zval, name: &str) {
    if call.parser().parse().is_err() {
        return;
    }
    let list = call.get_self().map(|this| {
        let mut rv = Zval::new();
        // SAFETY: `this` is a live BatchException (or a class derived from it), the scope that
        // declares the property; the result is borrowed and copied.
        unsafe {
            (*zend_read_property(
                std::ptr::from_ref(class_entry(Class::Batch)).cast_mut(),
                this,
                name.as_ptr().cast(),
                name.len(),
                true,
                &raw mut rv,
            ))
            .shallow_clone()
        }
    });
    // If PHP code constructed it, neither is set.
    *retval = match list {
        Some(list) if list.is_array() => list,
        _ => Zval::new_array(),
    };
}

/// The result of a batch with failed jobs.
#[derive(Debug)]
pub struct BatchFailure {
    /// The ids in the given order.
    pub ids: Vec<String>,
    /// Index and error of each failed job, in order of index.
    pub failures: Vec<(usize, Error)>,
}

impl BatchFailure {
    /// Includes the first reasons, because most logs show only the message.
    fn message(&self) -> String {
        const SHOWN: usize = 3;
        let failed = self.failures.len();
        let verb = if failed == 1 { "was" } else { "were" };
        let mut message = format!("{failed} of {} jobs {verb} not confirmed: ", self.ids.len());
        for (position, (index, error)) in self.failures.iter().take(SHOWN).enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            message += &format!("{separator}#{index} {}: {error}", error.kind().as_str());
        }
        if failed > SHOWN {
            message += &format!("; and {} more", failed - SHOWN);
        }
        message
    }
}

/// Throws the `BatchException`, with a separate exception for each failure.
pub fn throw_batch(batch: BatchFailure) {
    let message = batch.message();
    let mut failures = ZendHashTable::new();
    for (at, error) in &batch.failures {
        let failure = object(error.kind().into(), error.message());
        let _ = failures.insert_at_index(index(*at), failure);
    }
    let mut confirmed = ZendHashTable::new();
    let mut failed = batch.failures.iter().map(|(at, _)| *at).peekable();
    for (at, id) in batch.ids.iter().enumerate() {
        if failed.next_if_eq(&at).is_none() {
            let _ = confirmed.insert_at_index(index(at), id.as_str());
        }
    }
    let mut exception = object(Class::Batch, &message);
    let scope = class_entry(Class::Batch);
    let mut lists = [(FAILURES, Zval::new()), (CONFIRMED, Zval::new())];
    lists[0].1.set_hashtable(failures);
    lists[1].1.set_hashtable(confirmed);
    for (name, list) in &mut lists {
        set(&mut exception, scope, name, list);
    }
    let _ = throw_object(exception);
}

/// A list index as a PHP integer.
fn index(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
