//! Outgoing deliveries, as windows and credit allow.

use bytes::{Bytes, BytesMut};

use super::settling::Locked;
use super::trunk::{Context, Fault, Session};
use crate::amqp::outbox::Waiting;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::namespace::NodeId;
use crate::servicebus::model::queue::Assignment;
use crate::wire::transfer::Payload;

/// Identifies the message of a waiting delivery. The default, no message, is an answer to a
/// request.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(super) lock: Option<Locked>,
    /// Whether the stream ends in the middle of it.
    is_cut: bool,
}

impl Session {
    /// Queues a delivery from the namespace.
    pub(super) fn on_delivery(
        &mut self,
        handle: u32,
        node: NodeId,
        given: Assignment,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&handle) else {
            return Ok(());
        };
        link.of.active_at = context.now;
        let token = given.token;
        let action = context.fault(Point::Receive, &link.of.address);
        self.enqueue(handle, node, given, action == Some(Action::Cut));
        match action.map(|action| action.into_fault(handle)) {
            Some(Ok(fault)) => Err(fault),
            Some(Err(Action::LoseLock)) => {
                if let Some(queue) = context.model.namespace.queue_mut(node) {
                    queue.lose(token);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enqueue(&mut self, handle: u32, node: NodeId, given: Assignment, is_cut: bool) {
        let Some(outgoing) = self.outgoing(handle, given.link) else {
            return;
        };
        outgoing.credit.enqueue();
        self.outbox.push(Waiting {
            link: given.link,
            handle,
            of: Given {
                lock: Some(Locked {
                    node,
                    token: given.token,
                }),
                is_cut,
            },
            format: 0,
            pre_settled: given.pre_settled,
            payload: given.message.payload(&given.stamp),
            is_begun: false,
        });
    }

    /// Queues an answer to a request, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Vec<u8>) {
        let (none, reply) = (Bytes::new(), Bytes::from(reply));
        let payload = Payload::new(reply, none.clone(), none);
        self.send_replies(handle, Some(payload));
    }

    /// Sends waiting deliveries as far as the peer's window and the write buffer allow. False if
    /// the stream ends here, in the middle of a frame.
    pub(super) fn pump(
        &mut self,
        out: &mut BytesMut,
        room: usize,
        max_frame_size: u32,
        sent: &mut Vec<Locked>,
    ) -> Result<bool, serde_amqp::Error> {
        let channel = self.channel;
        while let Some(mut waiting) = self.outbox.next(out, room, channel, &mut self.windows)? {
            let before = out.len();
            let has_more = self.send_frame(&mut waiting, out, max_frame_size);
            if waiting.of.is_cut {
                out.truncate(before + (out.len() - before) / 2);
                return Ok(false);
            }
            if has_more {
                self.outbox.put_back(waiting);
            } else if let Some(lock) = waiting.of.lock.filter(|_| waiting.pre_settled) {
                sent.push(lock);
            }
        }
        Ok(true)
    }
}
