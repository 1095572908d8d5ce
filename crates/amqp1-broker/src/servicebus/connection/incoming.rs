//! Incoming transfers: reassembled, stored or answered, settled.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{Error, Role};
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState, Rejected};
use fe2o3_amqp_types::performatives::Transfer;

use super::trunk::{Context, Fault, Kind, Session};
use crate::amqp::partial::Partial;
use crate::amqp::parts::Model;
use crate::amqp::session::unattached;
use crate::amqp::{answers, errors as breach};
use crate::servicebus::address::Address;
use crate::servicebus::facts::{self, condition};
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::errors;
use crate::servicebus::model::message::Message;
use crate::servicebus::model::namespace::NodeId;

/// A complete delivery.
struct Delivery {
    id: u32,
    format: u32,
    is_settled: bool,
    is_too_large: bool,
    payload: Bytes,
}

impl Session {
    pub(super) fn on_transfer(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        self.windows.count_incoming().map_err(Fault::Session)?;
        let handle = transfer.handle.0;
        let Some(delivery) = self.assemble(transfer, payload, context)? else {
            return Ok(());
        };
        let link = self.links.get(&handle).ok_or_else(|| unattached(handle))?;
        let Kind::Incoming(incoming) = &link.kind else {
            return Ok(());
        };
        let (address, node) = (link.of.address.clone(), incoming.of.node);
        let result = match (&address, node) {
            _ if delivery.is_too_large => {
                Err(too_large(context.shared.settings.max_message_size).into())
            }
            (Address::Entity(_), Some(node)) => {
                let link = (handle, &address);
                self.on_message(link, node, &delivery, context)
            }
            (Address::Faults, _) => inject(&delivery.payload, context),
            _ => self.on_request(handle, &address, &delivery.payload, context),
        };
        let state = match result {
            Ok(()) => DeliveryState::Accepted(Accepted {}),
            Err(Refusal::Rejected(error)) => {
                DeliveryState::Rejected(Rejected { error: Some(error) })
            }
            Err(Refusal::Fault(fault)) => return Err(fault),
            Err(Refusal::Silence) => return Ok(()),
        };
        if delivery.is_settled {
            return Ok(());
        }
        let (id, state) = (delivery.id, Some(state));
        let disposition = answers::settled(Role::Receiver, id, id, state);
        context.put(self.channel, &disposition)
    }

    /// Adds a transfer to its delivery; returns the delivery once it is complete.
    fn assemble(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        context: &Context<'_>,
    ) -> Result<Option<Delivery>, Fault> {
        let handle = transfer.handle.0;
        let link = self.links.get_mut(&handle);
        let link = link.ok_or_else(|| unattached(handle))?;
        link.of.active_at = context.now;
        let incoming = match &mut link.kind {
            Kind::Incoming(incoming) => incoming,
            Kind::Detached => return Ok(None),
            Kind::Outgoing(_) | Kind::Waiting(..) => {
                return Err(Fault::Link(handle, breach::not_a_sender()));
            }
        };
        let mut partial = match incoming.partial.take() {
            Some(partial) => partial,
            None => {
                incoming.of.is_too_large = false;
                Partial::begin(transfer, &mut incoming.credit)
                    .map_err(|e| Fault::Link(handle, e))?
            }
        };
        if transfer.aborted {
            return Ok(None);
        }
        partial.is_settled |= transfer.settled.unwrap_or(false);
        let max = context.shared.settings.max_message_size;
        let size = partial.payload.len() + payload.len();
        incoming.of.is_too_large |= size as u64 > max;
        if incoming.of.is_too_large && !facts::TOO_LARGE_IS_REJECTED {
            return Err(Fault::Link(handle, too_large(max)));
        }
        if incoming.of.is_too_large {
            partial.payload.clear();
        } else {
            partial.payload.extend_from_slice(&payload);
        }
        if transfer.more {
            incoming.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(Delivery {
            id: partial.delivery_id,
            format: partial.format,
            is_settled: partial.is_settled,
            is_too_large: incoming.of.is_too_large,
            payload: partial.payload.freeze(),
        }))
    }

    fn on_message(
        &mut self,
        (handle, address): (u32, &Address),
        node: NodeId,
        delivery: &Delivery,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if let Some(action) = context.fault(Point::Send, address) {
            Refusal::from_fault(action, handle)?;
        }
        let messages = Message::parse_all(delivery.format, &delivery.payload)
            .map_err(|e| errors::error(condition::DECODE_ERROR, e.0))?;
        context
            .model
            .namespace
            .publish(node, messages, context.now)?;
        match context.fault(Point::Sent, address) {
            Some(action) => Refusal::from_fault(action, handle),
            None => Ok(()),
        }
    }
}

fn too_large(max: u64) -> Error {
    errors::error(
        condition::LINK_MESSAGE_SIZE_EXCEEDED,
        format!(
            "The received message exceeds the limit ({max} bytes) currently allowed on the link."
        ),
    )
}

/// Why a delivery is not accepted.
pub(super) enum Refusal {
    Rejected(Error),
    Fault(Fault),
    /// No answer at all.
    Silence,
}

impl Refusal {
    /// Applies an injected fault to a delivery.
    pub(super) fn from_fault(action: Action, handle: u32) -> Result<(), Self> {
        match action.into_fault(handle) {
            Ok(fault) => Err(Self::Fault(fault)),
            Err(Action::Fail(error)) => Err(Self::Rejected(error)),
            Err(Action::Drop) => Err(Self::Silence),
            Err(_) => Ok(()),
        }
    }
}

/// Injects the faults in a message: the text of its body, one per line.
fn inject(payload: &Bytes, context: &mut Context<'_>) -> Result<(), Refusal> {
    let message =
        Message::parse(payload).map_err(|e| errors::error(condition::DECODE_ERROR, e.0))?;
    let text = message.text();
    let text = text.ok_or_else(|| errors::error(condition::DECODE_ERROR, "the body is no text"))?;
    let added = context.model.inject(&text);
    added.map_err(|e| errors::error(condition::INVALID_FIELD, e))?;
    Ok(())
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}
