//! Messages of any producer, in every format: no panic, no more memory than the
//! message is worth, what a job is written as is read as the same job, and so is
//! its copy.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((0..=1, rest)) => amqp1_core::fuzzing::round_trip(rest),
    Some((2, rest)) => amqp1_core::fuzzing::values(rest),
    Some((3, rest)) => amqp1_core::fuzzing::envelope(rest),
    Some((_, rest)) => amqp1_core::fuzzing::message(rest),
    None => {}
});
