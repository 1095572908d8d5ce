//! The possible steps.

use std::time::Duration;

use proptest::prelude::*;

use crate::format::history::Ledger;

/// A receiver's options for its broker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    pub in_windows: bool,
    pub early: bool,
    pub ledger: Ledger,
    pub knows_timeout: bool,
    pub sent_settled: bool,
    pub releases_in_hand: bool,
    pub counts_end: bool,
    /// The prefetch adapts.
    pub elastic: bool,
    /// Credit is requested, and never renewed automatically.
    pub on_demand: bool,
}

#[derive(Debug, Clone)]
pub enum Op {
    OpenReceiver(u32, Manner),
    OpenSender,
    Send(usize, usize, bool),
    /// Sends this many, enough for several lanes.
    SendMany(usize, usize, usize),
    Take(usize),
    Settle(usize, usize, u8),
    Prefetch(usize, u32),
    Ask(usize),
    Demand(usize, u32, bool),
    Hush(usize),
    CloseReceiver(usize),
    CloseSender(usize),
    /// Bytes go to the broker, or come from it.
    Write(usize),
    Read(usize),
    /// Time passes; the timer fires when it is due, or regardless.
    Pass(Duration, bool),
    Publish(u32, u32, usize),
    LoseBegin,
    RefuseAttach,
    Deliver(usize, usize, usize),
    Drained(usize),
    /// Reports the broker's state, and may request the client's (echo).
    Tell(usize, bool),
    /// Grants a lane of the client's sender credit, and may drain it.
    Grant(usize, usize, u32, bool),
    Confirm(usize, usize, bool, u8),
    Recall(usize, usize, usize),
    /// Ends the link of a handle.
    EndLink(usize, u32),
    EndSession(usize),
}

impl Op {
    /// The broker's session that the step concerns.
    pub fn session(&self) -> usize {
        match self {
            Op::Deliver(at, ..)
            | Op::Drained(at)
            | Op::Tell(at, _)
            | Op::Grant(at, ..)
            | Op::Confirm(at, ..)
            | Op::Recall(at, ..)
            | Op::EndLink(at, _)
            | Op::EndSession(at) => *at,
            _ => 0,
        }
    }
}

fn manner() -> impl Strategy<Value = Manner> {
    let ledger = prop_oneof![
        3 => Just(Ledger::None),
        1 => Just(Ledger::Failed),
        1 => Just(Ledger::Lost),
        2 => Just(Ledger::All)
    ];
    let flags = prop::array::uniform6(prop::bool::weighted(0.2));
    (ledger, flags).prop_map(
        |(ledger, [in_windows, early, knows_timeout, settled, releases, elastic])| Manner {
            in_windows,
            early,
            ledger,
            knows_timeout,
            sent_settled: settled && ledger == Ledger::None,
            releases_in_hand: releases && ledger == Ledger::None,
            counts_end: releases && ledger == Ledger::Lost,
            elastic,
            on_demand: false,
        },
    )
}

fn open_receiver() -> impl Strategy<Value = Op> {
    (0u32..9, manner()).prop_map(|(prefetch, mut manner)| {
        manner.on_demand = prefetch == 0;
        if manner.on_demand {
            manner.ledger = Ledger::None;
            manner.elastic = false;
        }
        Op::OpenReceiver(prefetch, manner)
    })
}

fn pass() -> impl Strategy<Value = Op> {
    let time = prop_oneof![4 => 0u64..30, 2 => 30u64..1000, 1 => 1000u64..6000];
    (time, prop::bool::weighted(0.3))
        .prop_map(|(millis, any_time)| Op::Pass(Duration::from_millis(millis), any_time))
}

/// A step of either side, or of the connection between them.
pub fn op() -> impl Strategy<Value = Op> {
    let link = 0usize..4;
    let some = 1usize..6;
    let octets = prop_oneof![1 => 1usize..40, 2 => Just(usize::MAX)];
    let size = prop_oneof![3 => 4usize..40, 1 => 100usize..1500];
    let frame = prop_oneof![3 => Just(2000usize), 1 => 3usize..200];
    let client = prop_oneof![
        3 => open_receiver(),
        2 => Just(Op::OpenSender),
        4 => (link.clone(), size.clone(), prop::bool::weighted(0.2))
            .prop_map(|(at, size, settled)| Op::Send(at, size, settled)),
        2 => (link.clone(), 40usize..120, size.clone())
            .prop_map(|(at, count, size)| Op::SendMany(at, count, size)),
        12 => link.clone().prop_map(Op::Take),
        12 => (link.clone(), 0usize..8, 0u8..12)
            .prop_map(|(at, which, how)| Op::Settle(at, which, how)),
        2 => (link.clone(), 0u32..9).prop_map(|(at, prefetch)| Op::Prefetch(at, prefetch)),
        3 => link.clone().prop_map(Op::Ask),
        2 => (link.clone(), 1u32..5, any::<bool>())
            .prop_map(|(at, count, drain)| Op::Demand(at, count, drain)),
        1 => link.clone().prop_map(Op::Hush),
        1 => link.clone().prop_map(Op::CloseReceiver),
        1 => link.clone().prop_map(Op::CloseSender),
    ];
    let wire = prop_oneof![
        3 => octets.clone().prop_map(Op::Write),
        3 => octets.prop_map(Op::Read),
        1 => pass(),
    ];
    let broker = prop_oneof![
        4 => (1u32..6, prop_oneof![4 => Just(0u32), 1 => 1u32..3], size)
            .prop_map(|(count, deaths, size)| Op::Publish(count, deaths, size)),
        1 => Just(Op::LoseBegin),
        1 => Just(Op::RefuseAttach),
        14 => (link.clone(), some.clone(), frame)
            .prop_map(|(at, count, size)| Op::Deliver(at, count, size)),
        3 => link.clone().prop_map(Op::Drained),
        2 => (link.clone(), any::<bool>()).prop_map(|(at, echo)| Op::Tell(at, echo)),
        5 => (link.clone(), 0usize..3, 0u32..6, prop::bool::weighted(0.2))
            .prop_map(|(at, lane, credit, drain)| Op::Grant(at, lane, credit, drain)),
        4 => (link.clone(), some.clone(), any::<bool>(), 0u8..12)
            .prop_map(|(at, count, first, how)| Op::Confirm(at, count, first, how)),
        3 => (link.clone(), 0usize..5, some).prop_map(|(at, from, count)| Op::Recall(at, from, count)),
        1 => (link.clone(), 0u32..4).prop_map(|(at, handle)| Op::EndLink(at, handle)),
        1 => link.prop_map(Op::EndSession),
    ];
    prop_oneof![10 => client, 14 => wire, 9 => broker]
}
