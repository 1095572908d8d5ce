//! Tests the client's protocol against a model of a broker, step by step, in an order that proptest
//! chooses. Bytes arrive in pieces, time passes in between, begins are lost, attaches are refused,
//! links and sessions end, and deliveries are taken back, at any moment.
//!
//! After each step, the invariants in the receiver's module are checked on both sides. At the end,
//! everything in progress finishes, and both sides must agree on what is left.
//!
//! A failure prints its seed, which is kept in `proptest-regressions/` and tried first from then
//! on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acts;
mod broker;
mod checks;
mod ends;
mod message;
mod ops;
mod settled;
mod world;

use proptest::prelude::*;

use self::broker::HANDLE_MAX;
use self::ops::{op, Op};
use self::world::World;

/// A few seconds in a debug build; `PROPTEST_CASES=100000` for a night.
fn config() -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 256,
    };
    ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

#[test]
fn a_sender_takes_as_many_lanes_as_the_broker_has_handles_for() {
    let mut world = World::new();
    for op in [Op::OpenSender, Op::SendMany(0, 200, 4)] {
        world.step(&op);
        world.exchange();
    }
    settled::finish(&mut world);
    assert_eq!(world.broker.most_lanes, HANDLE_MAX as usize);
    assert_eq!(world.broker.received.len(), 200);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn client_and_broker_agree_whatever_happens(ops in prop::collection::vec(op(), 1..160)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
        }
        settled::finish(&mut world);
    }
}
