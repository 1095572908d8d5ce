//! Requests to `$management` and `$cbs`, and the links for their answers.
//!
//! The SDKs identify the answer's link by the node's address, by the link's name or by its target's
//! address. The two links may be on different sessions.

use bytes::Bytes;

use super::incoming::Refusal;
use super::trunk::{Connection, Context, Fault, Kind, Session};
use crate::servicebus::address::Address;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::management::{self, Answer, Caller, Request};
use crate::servicebus::service::Service;

/// An answer that waits to be sent.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The earliest time, in Unix milliseconds.
    pub(super) at: u64,
    /// The node that answers.
    node: Address,
    reply_to: Option<String>,
    /// The channel of the request.
    channel: u16,
    message: Vec<u8>,
}

impl Session {
    /// Executes a request and stores its answer.
    pub(super) fn on_request(
        &mut self,
        handle: u32,
        address: &Address,
        payload: &Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let request = Request::parse(payload)?;
        let mut at = context.now;
        let mut is_misrouted = false;
        let mut answer = None;
        match context.fault(Point::Request(request.operation()), address) {
            None => {}
            // `now` is cut to whole milliseconds; one more keeps the answer from coming early.
            Some(Action::Delay(ms)) => at = at.saturating_add(ms).saturating_add(1),
            Some(Action::Misroute) => is_misrouted = true,
            Some(Action::Fail(error)) => answer = Some(Answer::refused(error, address)),
            Some(Action::Drop) => return Ok(()),
            Some(Action::LoseLock) => {
                let node = self.links.get(&handle).and_then(|link| match &link.kind {
                    Kind::Incoming(incoming) => incoming.of.node,
                    _ => None,
                });
                if let Some(queue) = node.and_then(|n| context.model.namespace.queue_mut(n)) {
                    management::lose_locks(queue, &request);
                }
            }
            Some(action) => {
                if let Ok(fault) = action.into_fault(handle) {
                    return Err(Refusal::Fault(fault));
                }
            }
        }
        let caller = Caller {
            shared: context.shared,
            now: context.now,
        };
        let answer = match answer {
            Some(refusal) => refusal,
            None => {
                let (answer, claim) =
                    management::answer(address, &request, &caller, context.model)?;
                if let Some(claim) = claim {
                    context.of.access.add(claim);
                }
                answer
            }
        };
        if let Some(link) = self.links.get_mut(&handle) {
            link.of.active_at = context.now;
        }
        context.of.replies.push(Reply {
            at,
            node: address.clone(),
            reply_to: request.reply_to.clone(),
            channel: self.channel,
            message: request.encode(&answer, is_misrouted),
        });
        Ok(())
    }

    /// The session's best link for an answer, with a score; `None` if there is none.
    fn suits(&self, reply: &Reply) -> Option<(u8, u32)> {
        let links = self.links.iter().filter_map(|(handle, link)| {
            let Kind::Outgoing(outgoing) = &link.kind else {
                return None;
            };
            if !outgoing.takes_replies() || link.of.address != reply.node {
                return None;
            }
            let name = reply.reply_to.as_deref();
            let is_named = name.is_some_and(|to| outgoing.of.reply_to.as_deref() == Some(to))
                || name == Some(link.name.as_str());
            let is_near = self.channel == reply.channel;
            Some((u8::from(is_named) * 2 + u8::from(is_near), *handle))
        });
        links.max()
    }
}

impl Connection {
    /// Sends the answers that are due, each on its best link.
    pub(super) fn send_replies(&mut self, model: &mut Service, now: u64) {
        let replies = std::mem::take(&mut self.of.replies);
        for reply in replies {
            if reply.at > now {
                self.of.replies.push(reply);
                continue;
            }
            let found = self.sessions.iter().filter(|(_, s)| !s.is_ended);
            let found = found.filter_map(|(channel, session)| {
                let (suits, handle) = session.suits(&reply)?;
                Some((suits, *channel, handle))
            });
            // If there is no link for the answer, nobody wants it.
            if let Some((_, channel, handle)) = found.max() {
                self.with_session(channel, model, now, |session, context| {
                    if let Some(link) = session.links.get_mut(&handle) {
                        link.of.active_at = context.now;
                    }
                    session.enqueue_reply(handle, reply.message);
                    Ok::<(), Fault>(())
                });
            }
        }
    }
}
