//! A hostile broker's bytes into the client: its handshake, its decoder, its connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((0, rest)) => amqp1_core::fuzzing::handshake(rest),
    Some((1, rest)) => amqp1_core::fuzzing::frames(rest),
    Some((_, rest)) => amqp1_core::fuzzing::connection(rest),
    None => {}
});
