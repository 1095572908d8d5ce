//! Transfers that come in: put together, stored or answered, settled.

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::{Error, Role};
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState, Rejected};
use fe2o3_amqp_types::performatives::{Disposition, Transfer};

use super::link::{Kind, Partial};
use super::session::{unattached, Context, Fault, Session};
use crate::servicebus::address::Address;
use crate::servicebus::facts;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::errors;
use crate::servicebus::model::message::Message;
use crate::servicebus::model::namespace::NodeId;

/// A whole delivery.
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
        if !self.windows.count_incoming() {
            return Err(Fault::Session(errors::error(
                "amqp:session:window-violation",
                "a transfer was sent beyond the session's incoming window",
            )));
        }
        let handle = transfer.handle.0;
        let Some(delivery) = self.assemble(transfer, payload, context)? else {
            return Ok(());
        };
        let link = self.links.get(&handle).ok_or_else(|| unattached(handle))?;
        let Kind::Incoming(incoming) = &link.kind else {
            return Ok(());
        };
        let (address, node) = (link.address.clone(), incoming.node);
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
        let disposition = Disposition {
            role: Role::Receiver,
            first: delivery.id,
            last: None,
            settled: true,
            state: Some(state),
            batchable: false,
        };
        context.put(self.channel, &disposition)
    }

    /// Adds a transfer to its delivery; the delivery when it is whole.
    fn assemble(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        context: &Context<'_>,
    ) -> Result<Option<Delivery>, Fault> {
        let handle = transfer.handle.0;
        let link = self.links.get_mut(&handle);
        let link = link.ok_or_else(|| unattached(handle))?;
        link.active_at = context.now;
        let incoming = match &mut link.kind {
            Kind::Incoming(incoming) => incoming,
            Kind::Detached => return Ok(None),
            Kind::Outgoing(_) | Kind::Waiting(..) => {
                let e = errors::not_allowed("a transfer on a receiver's link");
                return Err(Fault::Link(handle, e));
            }
        };
        let mut partial = match incoming.partial.take() {
            Some(partial) => partial,
            None => {
                let Some(delivery_id) = transfer.delivery_id else {
                    let e = errors::error("amqp:invalid-field", "a delivery without delivery-id");
                    return Err(Fault::Link(handle, e));
                };
                let Some(credit) = incoming.credit.checked_sub(1) else {
                    let e = errors::error(
                        "amqp:link:transfer-limit-exceeded",
                        "a delivery was sent without link credit",
                    );
                    return Err(Fault::Link(handle, e));
                };
                incoming.credit = credit;
                incoming.delivery_count = incoming.delivery_count.wrapping_add(1);
                Partial {
                    delivery_id,
                    format: transfer.message_format.unwrap_or(0),
                    is_settled: false,
                    is_too_large: false,
                    payload: BytesMut::new(),
                }
            }
        };
        if transfer.aborted {
            return Ok(None);
        }
        partial.is_settled |= transfer.settled.unwrap_or(false);
        let max = context.shared.settings.max_message_size;
        let size = partial.payload.len() + payload.len();
        partial.is_too_large |= size as u64 > max;
        if partial.is_too_large && !facts::TOO_LARGE_IS_REJECTED {
            return Err(Fault::Link(handle, too_large(max)));
        }
        if partial.is_too_large {
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
            is_too_large: partial.is_too_large,
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
            .map_err(|e| errors::error("amqp:decode-error", e.0))?;
        context
            .state
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
        "amqp:link:message-size-exceeded",
        format!(
            "The received message exceeds the limit ({max} bytes) currently allowed on the link."
        ),
    )
}

/// Why a delivery is not accepted.
pub(super) enum Refusal {
    Rejected(Error),
    Fault(Fault),
    /// It is not answered at all.
    Silence,
}

impl Refusal {
    /// What a fault that was asked for makes of a delivery.
    pub(super) fn from_fault(action: Action, handle: u32) -> Result<(), Self> {
        match action.into_fault(handle) {
            Ok(fault) => Err(Self::Fault(fault)),
            Err(Action::Fail(error)) => Err(Self::Rejected(error)),
            Err(Action::Drop) => Err(Self::Silence),
            Err(_) => Ok(()),
        }
    }
}

/// Takes faults from a message: the text of its body, one a line.
fn inject(payload: &Bytes, context: &mut Context<'_>) -> Result<(), Refusal> {
    let message = Message::parse(payload).map_err(|e| errors::error("amqp:decode-error", e.0))?;
    let text = message.text();
    let text = text.ok_or_else(|| errors::error("amqp:decode-error", "the body is no text"))?;
    let added = context.state.inject(&text);
    added.map_err(|e| errors::error("amqp:invalid-field", e))?;
    Ok(())
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}
