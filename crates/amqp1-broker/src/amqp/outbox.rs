//! A session's output queue: deliveries, and the answers to drains, which must follow the
//! deliveries queued before them.

use std::collections::VecDeque;

use bytes::BytesMut;
use fe2o3_amqp_types::performatives::Flow;

use super::credit::SendCredit;
use super::windows::Windows;
use crate::amqp::ids::LinkId;
use crate::wire::frame;
use crate::wire::transfer::{self, Payload, Start};

/// A delivery that waits or is being sent.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) link: LinkId,
    pub(crate) handle: u32,
    /// The dialect's data about the message.
    pub(crate) of: T,
    pub(crate) format: u32,
    pub(crate) pre_settled: bool,
    pub(crate) payload: Payload,
    /// Whether its first frame was sent.
    pub(crate) is_begun: bool,
}

impl<T> Waiting<T> {
    /// Sends the first frame; true if more frames follow.
    pub(crate) fn send_first(
        &mut self,
        out: &mut BytesMut,
        channel: u16,
        (delivery, tag): (u64, &[u8]),
        max_frame_size: u32,
    ) -> bool {
        self.is_begun = true;
        let start = Start {
            delivery_id: delivery as u32,
            delivery_tag: tag,
            message_format: self.format,
            settled: self.pre_settled,
        };
        self.send(out, channel, Some(&start), max_frame_size)
    }

    /// Sends another frame; true if more frames follow.
    pub(crate) fn send_next(
        &mut self,
        out: &mut BytesMut,
        channel: u16,
        max_frame_size: u32,
    ) -> bool {
        self.send(out, channel, None, max_frame_size)
    }

    fn send(
        &mut self,
        out: &mut BytesMut,
        channel: u16,
        start: Option<&Start<'_>>,
        max_frame_size: u32,
    ) -> bool {
        let payload = &mut self.payload;
        transfer::encode(out, channel, self.handle, start, payload, max_frame_size)
    }
}

#[derive(Debug)]
enum Item<T> {
    Delivery(Box<Waiting<T>>),
    Drained { link: LinkId, flow: Flow },
}

#[derive(Debug)]
pub(crate) struct Outbox<T> {
    items: VecDeque<Item<T>>,
}

impl<T> Outbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, waiting: Waiting<T>) {
        self.items.push_back(Item::Delivery(Box::new(waiting)));
    }

    /// Queues the answer to a drain, with delivery-count as it will be once the waiting deliveries
    /// are sent.
    pub(crate) fn push_drained(
        &mut self,
        link: LinkId,
        handle: u32,
        delivery_count: u32,
        windows: &Windows,
    ) {
        let mut flow = windows.link_flow(handle, (delivery_count, 0), 0);
        flow.drain = true;
        self.items.push_back(Item::Drained { link, flow });
    }

    /// Queues as many answers to requests as credit allows. They belong to no queue.
    pub(crate) fn push_replies(
        &mut self,
        link: LinkId,
        handle: u32,
        replies: &mut VecDeque<Payload>,
        credit: &mut SendCredit,
    ) where
        T: Default,
    {
        while credit.spare() > 0 {
            let Some(payload) = replies.pop_front() else {
                return;
            };
            credit.enqueue();
            self.push(Waiting {
                link,
                handle,
                of: T::default(),
                format: 0,
                pre_settled: true,
                payload,
                is_begun: false,
            });
        }
    }

    /// Removes all items of a link; returns its deliveries' data.
    pub(crate) fn remove(&mut self, link: LinkId) -> Vec<T> {
        let mut removed = Vec::new();
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Delivery(waiting) if waiting.link == link => removed.push(waiting.of),
                Item::Drained { link: of, .. } if of == link => {}
                other => self.items.push_back(other),
            }
        }
        removed
    }

    /// Removes all items; returns the deliveries' data with their links.
    pub(crate) fn remove_all(&mut self) -> Vec<(LinkId, T)> {
        let items = std::mem::take(&mut self.items).into_iter();
        let removed = items.filter_map(|item| match item {
            Item::Delivery(waiting) => Some((waiting.link, waiting.of)),
            Item::Drained { .. } => None,
        });
        removed.collect()
    }

    /// Removes the last `n` deliveries of a link that have not begun; returns the last first.
    pub(crate) fn take_back(&mut self, link: LinkId, n: u32) -> Vec<T> {
        let mut taken = Vec::new();
        let mut kept = VecDeque::with_capacity(self.items.len());
        while let Some(item) = self.items.pop_back() {
            match item {
                Item::Delivery(waiting)
                    if taken.len() < n as usize && waiting.link == link && !waiting.is_begun =>
                {
                    taken.push(waiting.of);
                }
                other => kept.push_front(other),
            }
        }
        self.items = kept;
        taken
    }

    /// The delivery whose next frame may be sent now, if the peer's window and the write buffer
    /// have room. The frame is already counted. Answers to drains queued before it are sent.
    pub(crate) fn next(
        &mut self,
        out: &mut BytesMut,
        room: usize,
        channel: u16,
        windows: &mut Windows,
    ) -> Result<Option<Box<Waiting<T>>>, serde_amqp::Error> {
        while out.len() < room {
            match self.items.pop_front() {
                None => break,
                Some(Item::Drained { mut flow, .. }) => {
                    // The session's part of the flow must be current.
                    let now = windows.flow();
                    flow.next_incoming_id = now.next_incoming_id;
                    flow.incoming_window = now.incoming_window;
                    flow.next_outgoing_id = now.next_outgoing_id;
                    frame::encode(out, channel, &flow)?;
                }
                Some(Item::Delivery(waiting)) => {
                    if windows.take_outgoing() {
                        return Ok(Some(waiting));
                    }
                    self.put_back(waiting);
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Puts a delivery with more frames to send back at the front.
    pub(crate) fn put_back(&mut self, waiting: Box<Waiting<T>>) {
        self.items.push_front(Item::Delivery(waiting));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use fe2o3_amqp_types::performatives::Performative;

    use super::*;
    use crate::amqp::answers;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    fn waiting(link: LinkId, of: u32, octets: usize) -> Waiting<u32> {
        Waiting {
            link,
            handle: 0,
            of,
            format: 0,
            pre_settled: true,
            payload: Payload::new(
                vec![0; octets].into(),
                Default::default(),
                Default::default(),
            ),
            is_begun: false,
        }
    }

    fn windows(frames: u32) -> Windows {
        Windows::new(&answers::begin(0, frames, 0), 10)
    }

    #[test]
    fn what_is_begun_is_not_taken_back() {
        let (mut out, mut windows) = (BytesMut::new(), windows(1));
        let mut outbox = Outbox::new();
        for (link, of) in [(A, 1), (A, 2), (B, 3), (A, 4)] {
            outbox.push(waiting(link, of, 1000));
        }
        let mut first = outbox.next(&mut out, 9000, 0, &mut windows).unwrap();
        let mut first = first.take().expect("a delivery");
        assert!(first.send_first(&mut out, 0, (0, b"tag"), 512));
        outbox.put_back(first);
        assert_eq!(outbox.take_back(A, 9), [4, 2]);
        assert_eq!(outbox.remove(A), [1]);
        assert_eq!(outbox.remove(B), [3]);
    }

    #[test]
    fn an_answer_to_a_drain_waits_for_the_deliveries_before_it() {
        let (mut out, mut windows) = (BytesMut::new(), windows(1));
        let mut outbox = Outbox::new();
        outbox.push(waiting(A, 1, 10));
        outbox.push_drained(A, 0, 7, &windows);
        outbox.push(waiting(A, 2, 10));
        let mut first = outbox
            .next(&mut out, 9000, 0, &mut windows)
            .unwrap()
            .unwrap();
        assert!(out.is_empty());
        assert!(!first.send_first(&mut out, 0, (0, b"tag"), 512));
        out.clear();
        // The peer's window is used up: the drain is answered, the delivery is not sent.
        assert!(outbox
            .next(&mut out, 9000, 0, &mut windows)
            .unwrap()
            .is_none());
        let answer = frame::decode(frame::split(&mut out, 512).unwrap().unwrap()).unwrap();
        let Some(Performative::Flow(flow)) = answer.performative else {
            panic!("no flow");
        };
        assert!(flow.drain);
        assert_eq!((flow.delivery_count, flow.link_credit), (Some(7), Some(0)));
        assert_eq!(flow.next_outgoing_id, 1, "as it is now");
        assert!(out.is_empty());
        assert_eq!(outbox.remove(A), [2]);
    }
}
