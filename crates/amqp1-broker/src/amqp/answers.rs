//! The broker's answers to a peer's begin, attach, detach and transfers.

use fe2o3_amqp_types::definitions::{Error, Handle, ReceiverSettleMode, Role};
use fe2o3_amqp_types::messaging::{DeliveryState, DistributionMode, TargetArchetype};
use fe2o3_amqp_types::performatives::{Attach, Begin, Detach, Disposition};
use serde_amqp::primitives::{Array, Symbol};

use super::windows::OUTGOING_WINDOW;

/// The outcomes that a receiver may settle with.
const OUTCOMES: [&str; 4] = [
    "amqp:accepted:list",
    "amqp:rejected:list",
    "amqp:released:list",
    "amqp:modified:list",
];

/// The answer to a begin, with the number of transfers that the peer may send and its highest
/// handle.
pub(crate) fn begin(channel: u16, incoming_window: u32, handle_max: u32) -> Begin {
    Begin {
        remote_channel: Some(channel),
        next_outgoing_id: 0,
        incoming_window,
        outgoing_window: OUTGOING_WINDOW,
        handle_max: Handle(handle_max),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

/// The answer to an attach: the peer's own settings, with the outcomes that a receiver may settle
/// with.
pub(crate) fn attach(attach: Attach, max_message_size: u64) -> Attach {
    let role = match attach.role {
        Role::Sender => Role::Receiver,
        Role::Receiver => Role::Sender,
    };
    let is_sender = role == Role::Sender;
    let source = attach.source.map(|mut source| {
        if is_sender {
            source.outcomes = Some(Array::from(OUTCOMES.map(Symbol::from).to_vec()));
            // No browsing: like RabbitMQ, the answer says so, whatever the peer requested.
            source.distribution_mode = Some(DistributionMode::Move);
        }
        source
    });
    Attach {
        name: attach.name,
        handle: attach.handle,
        snd_settle_mode: attach.snd_settle_mode,
        // Incoming messages are settled as soon as they are stored.
        rcv_settle_mode: if is_sender {
            attach.rcv_settle_mode
        } else {
            ReceiverSettleMode::First
        },
        role,
        // If only one terminus matters to a link, the peer may leave out the other (AMQP 1.0
        // section 2.6.3). An answer without it would be a refusal.
        source: Some(source.unwrap_or_default()),
        target: Some(
            attach
                .target
                .unwrap_or_else(|| Box::new(TargetArchetype::Target(Default::default()))),
        ),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: is_sender.then_some(0),
        max_message_size: Some(max_message_size),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: attach.properties,
    }
}

/// An answering attach without termini: it refuses the link, and a detach follows (section 2.6.3).
pub(crate) fn without_termini(answer: Attach) -> Attach {
    Attach {
        source: None,
        target: None,
        ..answer
    }
}

/// The answer to a detach. It closes the link if the peer's detach did.
pub(crate) fn detach(asked: &Detach) -> Detach {
    Detach {
        handle: asked.handle.clone(),
        closed: asked.closed,
        error: None,
    }
}

/// A detach that closes a link with an error.
pub(crate) fn closing(handle: u32, error: Error) -> Detach {
    Detach {
        handle: Handle(handle),
        closed: true,
        error: Some(error),
    }
}

/// Settles the deliveries from first to last; `role` says whether the broker sent or received them.
pub(crate) fn settled(
    role: Role,
    first: u32,
    last: u32,
    state: Option<DeliveryState>,
) -> Disposition {
    Disposition {
        role,
        first,
        last: (last != first).then_some(last),
        settled: true,
        state,
        batchable: false,
    }
}
