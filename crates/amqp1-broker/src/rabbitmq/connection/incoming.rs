//! Incoming transfers: reassembled, published, settled.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{AmqpError, Error, LinkError, Role};
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState, Rejected, Released};
use fe2o3_amqp_types::performatives::Transfer;

use super::link::Target;
use super::trunk::{Context, Fault, Incoming, Kind, Session};
use crate::amqp::partial::Partial;
use crate::amqp::session::unattached;
use crate::amqp::{answers, errors as breach};
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::message::Message;
use crate::rabbitmq::model::store::{Published, Route};

/// Dispositions that wait for the end of the batch, so that one frame settles consecutive
/// deliveries with the same outcome.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    run: Option<(u32, u32, Published)>,
}

/// A complete delivery.
struct Delivery {
    id: u32,
    format: u32,
    is_settled: bool,
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
        let link = self
            .links
            .get_mut(&handle)
            .ok_or_else(|| unattached(handle))?;
        let incoming = match &mut link.kind {
            Kind::Incoming(incoming) => incoming,
            Kind::Detached => return Ok(()),
            Kind::Outgoing(_) | Kind::Waiting(..) => {
                return Err(Fault::Link(handle, breach::not_a_sender()))
            }
        };
        let max = context.shared.settings.max_message_size;
        let delivery = assemble(incoming, transfer, payload, max);
        let Some(delivery) = delivery.map_err(|e| Fault::Link(handle, e))? else {
            return Ok(());
        };
        let message = Message::parse(delivery.format, &delivery.payload);
        let published = match (message, &incoming.of) {
            (Err(e), _) => Published::Rejected(errors::error(AmqpError::DecodeError, e.0)),
            (Ok(message), Target::Node(route)) => {
                context.model.publish(route, message, context.now)
            }
            (Ok(message), Target::Management) => {
                self.on_request(handle, &message, context)?;
                Published::Accepted
            }
        };
        if let Published::Rejected(error) = &published {
            if self.is_exchange_gone(handle, context) {
                return Err(Fault::Link(handle, error.clone()));
            }
        }
        if delivery.is_settled {
            return Ok(());
        }
        self.settle_incoming(delivery.id, published, context)
    }

    /// Whether the link's exchange was deleted after the attach. Like RabbitMQ, the broker then
    /// detaches the link at the next message.
    fn is_exchange_gone(&self, handle: u32, context: &Context<'_>) -> bool {
        match self.links.get(&handle).map(|link| &link.kind) {
            Some(Kind::Incoming(incoming)) => match &incoming.of {
                Target::Node(Route::Exchange { name, .. }) => {
                    !context.model.exchanges.contains_key(name)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn settle_incoming(
        &mut self,
        delivery_id: u32,
        published: Published,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        match &mut self.of.run {
            Some((_, last, outcome))
                if last.wrapping_add(1) == delivery_id && *outcome == published =>
            {
                *last = delivery_id;
                Ok(())
            }
            _ => {
                self.flush_settling(context)?;
                self.of.run = Some((delivery_id, delivery_id, published));
                Ok(())
            }
        }
    }

    /// Sends the waiting disposition.
    pub(super) fn flush_settling(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Some((first, last, published)) = self.of.run.take() else {
            return Ok(());
        };
        let state = match published {
            Published::Accepted => DeliveryState::Accepted(Accepted {}),
            Published::Released => DeliveryState::Released(Released {}),
            Published::Rejected(error) => DeliveryState::Rejected(Rejected { error: Some(error) }),
        };
        let disposition = answers::settled(Role::Receiver, first, last, Some(state));
        context.put(self.channel, &disposition)
    }
}

/// Adds a transfer to its delivery; returns the delivery once it is complete.
fn assemble(
    incoming: &mut Incoming,
    transfer: &Transfer,
    payload: Bytes,
    max_message_size: u64,
) -> Result<Option<Delivery>, Error> {
    let mut partial = match incoming.partial.take() {
        Some(partial) => {
            let id = transfer.delivery_id;
            if id.is_some_and(|id| id != partial.delivery_id) {
                return Err(errors::invalid_field("a delivery begins inside another"));
            }
            partial
        }
        None => Partial::begin(transfer, &mut incoming.credit)?,
    };
    if transfer.aborted {
        return Ok(None);
    }
    partial.is_settled |= transfer.settled.unwrap_or(false);
    if (partial.payload.len() + payload.len()) as u64 > max_message_size {
        return Err(errors::error(
            LinkError::MessageSizeExceeded,
            format!("the message is larger than {max_message_size} octets"),
        ));
    }
    if transfer.more {
        partial.payload.extend_from_slice(&payload);
        incoming.partial = Some(partial);
        return Ok(None);
    }
    let payload = if partial.payload.is_empty() {
        payload
    } else {
        partial.payload.extend_from_slice(&payload);
        partial.payload.freeze()
    };
    Ok(Some(Delivery {
        id: partial.delivery_id,
        format: partial.format,
        is_settled: partial.is_settled,
        payload,
    }))
}
