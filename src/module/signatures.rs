//! Facts about our methods that ext-php-rs cannot express: union types, and that the DSN and the
//! options are secrets.

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::ffi::{
    zend_function, zend_hash_str_find_ptr_lc, HashTable, IS_ARRAY, IS_DOUBLE, IS_LONG, IS_NULL,
    IS_STRING,
};
use ext_php_rs::types::ZendStr;
use ext_php_rs::zend::ClassEntry;

use crate::classes::consumer::Consumer;
use crate::classes::interfaces;
use crate::classes::jobs::Jobs;
use crate::classes::queue::AmqpQueue;
use crate::classes::task::Task;

#[repr(C)]
struct ZendAttribute {
    _private: [u8; 0],
}

extern "C" {
    fn zend_add_attribute(
        attributes: *mut *mut HashTable,
        name: *mut ZendStr,
        argc: u32,
        flags: u32,
        offset: u32,
        lineno: u32,
    ) -> *mut ZendAttribute;
}

/// `ZEND_ATTRIBUTE_PERSISTENT`: the attribute lives as long as its internal function.
const PERSISTENT: u32 = 1;

/// Completes the methods' signatures. Call it at MINIT, after the classes are registered.
pub fn refine() {
    let queue = AmqpQueue::get_metadata().ce();
    let consumer = Consumer::get_metadata().ce();
    let jobs = Jobs::get_metadata().ce();

    mark_sensitive(queue, "__construct", 0);
    // Users sometimes pass a key itself instead of the path to its file.
    mark_sensitive(queue, "__construct", 2);
    // An array may contain passwords in its addresses.
    mark_sensitive(jobs, "__construct", 0);
    add_type(jobs, "__construct", Some(0), IS_ARRAY);
    add_type(consumer, "__construct", Some(0), IS_ARRAY);
    // See `refine_queue` about null.
    deny_null(queue, "__construct", 2);
    deny_null(consumer, "__construct", 1);
    refine_queue(queue);
    refine_queue(interfaces::QUEUE.0());
    add_type(consumer, "receiveDeferred", Some(0), IS_LONG);
    add_type(
        interfaces::CONSUMER.0(),
        "receiveDeferred",
        Some(0),
        IS_LONG,
    );
    refine_task(Task::get_metadata().ce());
    refine_task(interfaces::TASK.0());
}

fn refine_queue(queue: &ClassEntry) {
    add_type(queue, "receiveDeferred", Some(0), IS_LONG);
    add_type(queue, "schedule", Some(2), IS_LONG);
    add_type(queue, "schedule", Some(2), IS_DOUBLE);
    // ext-php-rs throws its own, vaguer TypeError for null if the default is not null; ours is
    // PHP's. So these parameters are nullable only for ext-php-rs.
    deny_null(queue, "push", 2);
    deny_null(queue, "request", 2);
    deny_null(queue, "requestAsync", 2);
    deny_null(queue, "schedule", 3);
    deny_null(queue, "pushMany", 1);
    deny_null(queue, "peek", 0);
    deny_null(queue, "peek", 1);
}

fn refine_task(task: &ClassEntry) {
    add_type(task, "nack", Some(0), IS_STRING);
    add_type(task, "deadLetter", Some(0), IS_STRING);
    add_type(task, "release", Some(0), IS_LONG);
    deny_null(task, "reply", 1);
    deny_null(task, "release", 0);
    deny_null(task, "release", 1);
    // The optimizer relies on return types: this one must list both.
    add_type(task, "getDelay", None, IS_LONG);
}

/// Adds a scalar type to a parameter (`None`: to the return type).
fn add_type(class: &ClassEntry, method: &str, parameter: Option<usize>, kind: u32) {
    change_type(class, method, parameter, |mask| mask | 1 << kind);
}

/// Removes null from the types of a parameter.
fn deny_null(class: &ClassEntry, method: &str, parameter: usize) {
    change_type(class, method, Some(parameter), |mask| {
        mask & !(1 << IS_NULL)
    });
}

fn change_type(
    class: &ClassEntry,
    method: &str,
    parameter: Option<usize>,
    change: impl FnOnce(u32) -> u32,
) {
    let function = find(class, method);
    if function.is_null() {
        return;
    }
    // SAFETY: MINIT is single-threaded and nothing was called yet. Each of these methods has types,
    // so the engine owns a writable copy of its arg_info, with the return type in the element
    // before the first parameter; `parameter` is checked against the number of parameters.
    unsafe {
        let function = &mut (*function).internal_function;
        let arg_info = match parameter {
            None => function.arg_info.sub(1),
            Some(number) if number < function.num_args as usize => function.arg_info.add(number),
            Some(_) => return,
        };
        let mask = &mut (*arg_info).type_.type_mask;
        *mask = change(*mask);
    }
}

/// `#[\SensitiveParameter]`: traces omit the value (PHP 8.2; ignored by 8.1).
fn mark_sensitive(class: &ClassEntry, method: &str, parameter: u32) {
    let function = find(class, method);
    if function.is_null() {
        return;
    }
    let name = ZendStr::new_interned("SensitiveParameter", true);
    // SAFETY: does the same as zend_add_parameter_attribute (an inline function in
    // zend_attributes.h) for the engine's own password functions; the attribute keeps its own
    // reference to the persistent name.
    unsafe {
        zend_add_attribute(
            &raw mut (*function).common.attributes,
            name.as_ptr().cast_mut(),
            0,
            PERSISTENT,
            parameter + 1,
            0,
        );
    }
}

fn find(class: &ClassEntry, method: &str) -> *mut zend_function {
    // SAFETY: the table of a registered class holds `zend_function` pointers; the name is copied.
    unsafe {
        zend_hash_str_find_ptr_lc(
            &raw const class.function_table,
            method.as_ptr().cast(),
            method.len(),
        )
        .cast()
    }
}
