//! Messages from any producer, in every format: no panic, and memory in proportion to the message.
//! A job that is written reads back as the same job, and so does its copy.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((0..=1, rest)) => amqp1_core::fuzzing::round_trip(rest),
    Some((2, rest)) => amqp1_core::fuzzing::values(rest),
    Some((3, rest)) => amqp1_core::fuzzing::envelope(rest),
    Some((_, rest)) => amqp1_core::fuzzing::message(rest),
    None => {}
});
