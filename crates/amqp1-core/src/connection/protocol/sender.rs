//! The sending end of a link.

pub(crate) mod lanes;

use std::collections::VecDeque;
use std::ops::Range;

use fe2o3_amqp_types::performatives::Attach;

use self::lanes::Lanes;
use super::link::{Phase, SENDER, UNKNOWN_LINK};
use super::output::{Output, LARGE};
use super::parts::Parts;
use super::terminus::Ask;
use super::tracker::{Confirmation, Tracked};
use crate::error::Error;
use crate::wire::frame::{self, First, State as DeliveryState, TRANSFER_OVERHEAD};
use crate::wire::DecodeError;

/// The size of the output buffer, in bytes, from which transfers wait in their link.
const OUT_HIGH: usize = 256 * 1024;

#[derive(Debug)]
struct Outgoing {
    message: Parts,
    offset: usize,
    /// message-format
    format: u32,
    /// `None`: sent settled.
    tracked: Option<Tracked>,
}

/// What a detach of the broker has ended, with our handle of the link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The sender.
    Sender(u32),
    /// A further lane, which the broker refuses.
    Lane(u32),
}

#[derive(Debug)]
pub(crate) struct Sender {
    pub phase: Phase,
    /// The requirement on the target.
    pub ask: Ask,
    /// The broker's limit for a message; zero if it sets none.
    pub max_message_size: u64,
    /// Its links: one, or several as long as they are useful.
    pub lanes: Lanes,
    queue: VecDeque<Outgoing>,
    /// Deliveries without an outcome; the first one's id is `unsettled_from`.
    unsettled: VecDeque<Option<Tracked>>,
    unsettled_from: u32,
    next_delivery_id: u32,
}

impl Sender {
    pub fn new(name: String) -> Self {
        Self {
            phase: Phase::Attaching,
            ask: Ask::Nothing,
            max_message_size: 0,
            lanes: Lanes::new(name),
            queue: VecDeque::new(),
            unsettled: VecDeque::new(),
            unsettled_from: 0,
            next_delivery_id: 0,
        }
    }

    pub fn asking(mut self, ask: Ask) -> Self {
        self.ask = ask;
        self
    }

    /// Queues a message; [`Sender::pump`] sends it when the broker allows it.
    pub fn push(&mut self, message: Parts, format: u32, tracked: Option<Tracked>) {
        if let Some(tracked) = &tracked {
            tracked.tracker.expect();
        }
        // Without credit, calls that time out must not accumulate messages here.
        self.drop_abandoned();
        self.queue.push_back(Outgoing {
            message,
            offset: 0,
            format,
            tracked,
        });
    }

    /// Drops messages whose caller no longer waits and of which nothing was sent.
    fn drop_abandoned(&mut self) {
        let abandoned = |message: &Outgoing| {
            let tracked = message.tracked.as_ref();
            message.offset == 0 && tracked.is_some_and(|tracked| tracked.tracker.is_abandoned())
        };
        while self.queue.front().is_some_and(abandoned) {
            self.queue.pop_front();
        }
    }

    /// Whether a message's body waits in this part of the memory.
    pub fn uses(&self, place: &Range<usize>) -> bool {
        self.queue
            .iter()
            .any(|message| message.message.is_in(place))
    }

    /// Copies the bodies that wait in this part of the memory.
    pub fn leave(&mut self, place: &Range<usize>) {
        let queue = self.queue.iter_mut();
        queue.for_each(|message| message.message.leave(place));
    }

    /// Whether messages wait that the broker has not asked for.
    pub fn waits_for_credit(&self) -> bool {
        let first = self.queue.front();
        self.phase == Phase::Attached && first.is_some_and(|message| message.offset == 0)
    }

    /// Whether nothing is queued and nothing waits for an outcome.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.unsettled.is_empty()
    }

    /// Whether the broker owes an answer: an outcome, or the attach that a message waits for.
    pub fn is_owed(&self) -> bool {
        let attaching = self.phase == Phase::Attaching && !self.queue.is_empty();
        attaching || self.unsettled.iter().any(Option::is_some)
    }

    /// Handles the broker's attach of one of its lanes. Returns the lane's handle and an error if
    /// the node does not meet the requirement.
    ///
    /// # Errors
    /// It has no such lane.
    pub fn on_attach(&mut self, attach: &Attach) -> Result<Option<(u32, Error)>, DecodeError> {
        let lane = self.lanes.named(&attach.name).ok_or(UNKNOWN_LINK)?;
        lane.remote_handle = Some(attach.handle.0);
        // A refusal has no terminus; its reason follows in a detach.
        if attach.target.is_none() || self.phase.over().is_some() {
            return Ok(None);
        }
        if let Err(error) = self.ask.judge(attach) {
            return Ok(Some((lane.handle, error)));
        }
        lane.is_attached = true;
        let limit = attach.max_message_size.unwrap_or(0);
        self.max_message_size = match self.max_message_size {
            0 => limit,
            // The smaller limit of all lanes.
            earlier if limit == 0 => earlier,
            earlier => earlier.min(limit),
        };
        self.phase = Phase::Attached;
        Ok(None)
    }

    /// Handles the broker's detach of the lane with its handle, if there is one.
    pub fn on_detach(&mut self, remote_handle: u32, error: &Error) -> Option<Ended> {
        let lane = self.lanes.of_remote(remote_handle)?;
        let (handle, was_attached) = (lane.handle, lane.is_attached);
        if handle == SENDER || was_attached {
            self.fail(error);
            return Some(Ended::Sender(handle));
        }
        self.lanes.refused();
        Some(Ended::Lane(handle))
    }

    /// Writes as many queued transfers as credit, window and buffer allow. Returns the number of
    /// frames.
    pub fn pump(
        &mut self,
        out: &mut Output,
        channel: u16,
        window: &mut u32,
        max_frame_size: usize,
    ) -> u32 {
        let mut frames = 0;
        if self.phase != Phase::Attached {
            return frames;
        }
        let room = max_frame_size - TRANSFER_OVERHEAD;
        self.drop_abandoned();
        while let Some(head) = self.queue.front_mut() {
            let first = head.offset == 0;
            if *window == 0 || out.pending() > OUT_HIGH {
                break;
            }
            if first && !self.lanes.choose() {
                self.lanes.extend(self.queue.len(), out.frames(), channel);
                break;
            }
            let lane = self.lanes.current();
            let left = head.message.len() - head.offset;
            let more = left > room;
            let part = head.offset..head.offset + left.min(room);
            let delivery = first.then_some(First {
                delivery_id: self.next_delivery_id,
                settled: head.tracked.is_none(),
                format: head.format,
            });
            let (frame, length) = (out.frames(), part.len());
            frame::encode_transfer_head(frame, channel, lane.handle, delivery, more, length);
            if length < LARGE {
                let pieces = head.message.pieces(&part);
                pieces
                    .iter()
                    .for_each(|piece| frame.extend_from_slice(piece));
            } else {
                for piece in head.message.shared(&part) {
                    match piece.len() < LARGE {
                        true => out.frames().extend_from_slice(&piece),
                        false => out.push(piece),
                    }
                }
            }
            frames += 1;
            *window -= 1;
            head.offset = part.end;
            if first {
                lane.use_credit();
                self.unsettled.push_back(head.tracked.take());
                self.next_delivery_id = self.next_delivery_id.wrapping_add(1);
            }
            if !more {
                self.queue.pop_front();
            }
        }
        self.trim();
        frames
    }

    /// Handles the receiver's disposition for the deliveries `first..=last`.
    pub fn on_disposition(&mut self, first: u32, last: u32, state: Option<&DeliveryState>) {
        let count = last.wrapping_sub(first).saturating_add(1);
        // Ids wrap, so they are compared by distance.
        let skip = first.wrapping_sub(self.unsettled_from);
        let (start, count) = if skip <= i32::MAX as u32 {
            (skip as usize, count as usize)
        } else {
            let before = self.unsettled_from.wrapping_sub(first);
            (0, count.saturating_sub(before) as usize)
        };
        for slot in self.unsettled.iter_mut().skip(start).take(count) {
            if let Some(tracked) = slot.take() {
                tracked.resolve(Confirmation::of(state));
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while let Some(None) = self.unsettled.front() {
            self.unsettled.pop_front();
            self.unsettled_from = self.unsettled_from.wrapping_add(1);
        }
    }

    /// Ends the link: reports the error for every message without an outcome.
    pub fn fail(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Detached(_)) {
            return;
        }
        self.phase = Phase::Detached(error.clone());
        let queued = self.queue.drain(..).filter_map(|message| message.tracked);
        for tracked in self.unsettled.drain(..).flatten().chain(queued) {
            tracked.resolve(Confirmation::Lost(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tracker::Tracker;
    use super::*;

    fn attached(next_delivery_id: u32) -> Sender {
        let mut sender = Sender::new("s".to_owned());
        sender.phase = Phase::Attached;
        sender.lanes.current().is_attached = true;
        sender.next_delivery_id = next_delivery_id;
        sender.unsettled_from = next_delivery_id;
        sender
    }

    fn send(sender: &mut Sender, tracker: &Tracker, count: u64) {
        for index in 0..count {
            let tracked = Tracked {
                tracker: tracker.clone(),
                index,
            };
            sender.push(Bytes::from_static(b"m").into(), 0, Some(tracked));
        }
    }

    fn outcomes(tracker: &Tracker) -> Vec<(u64, Confirmation)> {
        let mut taken = Vec::new();
        tracker.take(&mut taken, 0);
        taken
    }

    #[test]
    fn nothing_is_sent_without_credit_or_window() {
        let (mut sender, tracker, mut out) = (attached(0), Tracker::default(), Output::default());
        send(&mut sender, &tracker, 3);
        assert_eq!(sender.pump(&mut out, 0, &mut 10, 512), 0);
        sender.lanes.current().on_flow(Some(0), 2);
        assert_eq!(sender.pump(&mut out, 0, &mut 1, 512), 1);
        assert_eq!(sender.pump(&mut out, 0, &mut 10, 512), 1);
        assert_eq!(sender.pump(&mut out, 0, &mut 10, 512), 0);
    }

    /// A broker without memory blocks sending, which is no reason to leave it.
    #[test]
    fn the_broker_owes_an_answer_to_what_was_sent_alone() {
        let (mut sender, tracker, mut out) = (attached(0), Tracker::default(), Output::default());
        send(&mut sender, &tracker, 2);
        assert!(!sender.is_owed());
        sender.lanes.current().on_flow(Some(0), 1);
        sender.pump(&mut out, 0, &mut 10, 512);
        assert!(sender.is_owed());
        sender.on_disposition(0, 0, Some(&DeliveryState::Accepted));
        assert!(!sender.is_owed());
        let mut attaching = Sender::new("s".to_owned());
        assert!(!attaching.is_owed());
        send(&mut attaching, &tracker, 1);
        assert!(attaching.is_owed());
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent() {
        let (mut sender, given_up, mut out) = (attached(0), Tracker::default(), Output::default());
        send(&mut sender, &given_up, 3);
        given_up.abandon();
        send(&mut sender, &Tracker::default(), 1);
        assert_eq!(sender.queue.len(), 1);
        sender.lanes.current().on_flow(Some(0), 10);
        assert_eq!(sender.pump(&mut out, 0, &mut 10, 512), 1);
    }

    #[test]
    fn dispositions_out_of_order_and_across_the_wrap() {
        let (mut sender, tracker, mut out) =
            (attached(0xffff_fffe), Tracker::default(), Output::default());
        send(&mut sender, &tracker, 4);
        sender.lanes.current().on_flow(Some(0), 10);
        sender.pump(&mut out, 0, &mut 10, 512);
        sender.on_disposition(0, 1, Some(&DeliveryState::Accepted));
        assert_eq!(
            outcomes(&tracker),
            [(2, Confirmation::Accepted), (3, Confirmation::Accepted)]
        );
        sender.on_disposition(0xffff_fff0, 0xffff_fffe, Some(&DeliveryState::Released));
        assert_eq!(outcomes(&tracker), [(0, Confirmation::Released)]);
        sender.on_disposition(0xffff_ffff, 5, Some(&DeliveryState::Accepted));
        assert_eq!(outcomes(&tracker), [(1, Confirmation::Accepted)]);
        assert!(sender.is_idle());
    }

    #[test]
    fn a_large_message_is_split_and_waits_for_the_window() {
        let (mut sender, tracker, mut out) = (attached(0), Tracker::default(), Output::default());
        let tracked = Tracked {
            tracker: tracker.clone(),
            index: 0,
        };
        sender.push(Bytes::from(vec![7; 1000]).into(), 0, Some(tracked));
        sender.lanes.current().on_flow(Some(0), 1);
        assert_eq!(sender.pump(&mut out, 0, &mut 2, 512), 2);
        assert_eq!(sender.pump(&mut out, 0, &mut 2, 512), 1);
        assert_eq!(tracker.pending(), 1);
        sender.fail(&Error::connection("gone"));
        assert_eq!(
            outcomes(&tracker),
            [(0, Confirmation::Lost(Error::connection("gone")))]
        );
    }
}
