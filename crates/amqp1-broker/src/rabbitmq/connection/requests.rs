//! Requests to the management node over a link pair: two links with the same name on one session.
//! The answers to the first link's requests go out on the second.

use fe2o3_amqp_types::definitions::AmqpError;
use fe2o3_amqp_types::messaging::{AmqpValue, MessageId, Properties};

use super::trunk::{Context, Fault, Kind, Session};
use crate::rabbitmq::management::{self, Answer};
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::message::Message;

/// The reply-to of requests whose answer goes to the paired link.
const REPLY_TO_PAIR: &str = "$me";

impl Session {
    /// Executes a request and queues its answer.
    pub(super) fn on_request(
        &mut self,
        handle: u32,
        request: &Message,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let properties = request.properties().unwrap_or_default();
        let Some(reply_handle) = self.pair(handle) else {
            let e = errors::precondition_failed(
                "a management request needs a receiving link of the same name",
            );
            return Err(Fault::Link(handle, e));
        };
        if properties.reply_to.as_deref() != Some(REPLY_TO_PAIR) {
            let e = errors::precondition_failed("a management request needs reply-to '$me'");
            return Err(Fault::Link(handle, e));
        }
        let answer = management::answer(
            context.model,
            context.connection,
            properties.subject.as_deref().unwrap_or_default(),
            properties.to.as_deref().unwrap_or_default(),
            request.amqp_value(),
        );
        let reply = encode(&answer, properties.message_id).map_err(|e| {
            let e = errors::error(AmqpError::InternalError, format!("no answer: {e}"));
            Fault::Link(handle, e)
        })?;
        self.enqueue_reply(reply_handle, reply);
        Ok(())
    }

    /// The link for the answers to requests on `handle`.
    fn pair(&self, handle: u32) -> Option<u32> {
        let name = &self.links.get(&handle)?.name;
        self.links
            .iter()
            .find_map(|(handle, link)| match &link.kind {
                Kind::Outgoing(outgoing) if link.name == *name => {
                    outgoing.takes_replies().then_some(*handle)
                }
                _ => None,
            })
    }
}

fn encode(answer: &Answer, request: Option<MessageId>) -> Result<Message, String> {
    let properties = Properties {
        subject: Some(answer.status.to_string()),
        correlation_id: request,
        ..Properties::default()
    };
    let mut encoded = serde_amqp::to_vec(&properties).map_err(|e| e.to_string())?;
    let body = serde_amqp::to_vec(&AmqpValue(answer.body.clone())).map_err(|e| e.to_string())?;
    encoded.extend_from_slice(&body);
    Message::parse(0, &encoded.into()).map_err(|e| e.0.to_owned())
}
