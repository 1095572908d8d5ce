//! The receiving end of a link: what arrives, what PHP holds, and what the broker is told.
//!
//! Invariants of credit and dispositions, whatever crosses on the wire. The code refers to them by
//! number where it upholds them, and the property tests check them after each step.
//!
//! 1. Credit that the broker may still use is *granted*. Credit that was taken back, but that
//!    deliveries in flight may still use, is *revoked*. Neither is ever negative, and a new grant
//!    includes the rest of the revoked credit. A delivery that neither covers ends the connection.
//! 2. Whenever credit is granted, held and granted deliveries together do not exceed the prefetch;
//!    they are at most one while careful, none while paused. Only [`Receiver::demand`] may exceed
//!    this.
//! 3. The sender defines the delivery-count: each delivery advances it by one, and the answer to a
//!    drain by the credit that was left. Delivery-count, granted and revoked together equal the
//!    highest count that we ever allowed.
//! 4. A delivery that arrives unsettled is *held* until we settle it, exactly once. It is in the
//!    buffer, handed out to PHP, abandoned by PHP, or waiting to be returned. A settlement is sent
//!    at once, or gathered with others until the next [`Receiver::flush`].
//! 5. PHP gets a delivery at most once, complete, and never one that the broker has already taken
//!    back.
//! 6. Once the link has ended, nothing more is handed out, settled or requested. The broker
//!    redelivers everything that was not settled.
//!
//! [`mode`] decides how credit is granted and [`credit`] how much; [`drain`] finds out whether
//! there is more; [`filling`] limits what arrives and [`waiting`] how long it stays; [`returning`]
//! returns deliveries, and [`recalling`] handles those that the broker takes back.

mod arriving;
mod buffer;
mod credit;
mod drain;
mod filling;
mod in_hand;
mod mode;
mod partial;
mod recalled;
mod recalling;
mod returning;
mod returns;
mod settling;
pub(crate) mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fe2o3_amqp_types::performatives::Attach;

use self::buffer::Buffer;
use self::credit::Credit;
use self::drain::Answer;
use self::in_hand::InHand;
use self::mode::Mode;
use self::partial::Partial;
use self::recalled::Recalled;
use self::returns::Returns;
use super::elastic::Elastic;
use super::link::Phase;
use super::terminus::Ask;
use super::tracker::{Confirmation, Tracked};
use super::watch::Watch;
use crate::base::memory::{self, Block};
use crate::base::threads;
use crate::base::wait::Signal;
use crate::error::Error;
use crate::wire::frame::Transfer;
use crate::wire::length::announced;
use crate::wire::DecodeError;

/// A delivery as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub delivery_id: u32,
    pub payload: Bytes,
    /// The broker has settled it and will not redeliver it.
    pub settled: bool,
    /// delivery-tag
    pub tag: Bytes,
    /// When the bytes that completed it were read.
    pub arrived: Instant,
}

/// The most memory that a message gets because of the length that its beginning announces, in
/// bytes. It grows with what really arrives.
const FORESEEN: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Receiver {
    pub name: String,
    pub phase: Phase,
    /// The requirement on the source.
    pub ask: Ask,
    /// The broker's answer to the attach.
    pub answer: Option<Arc<Attach>>,
    pub remote_handle: Option<u32>,
    /// Raised when the empty buffer gets a delivery, or the link ends.
    pub signal: Signal,
    credit: Credit,
    /// Delivered and not settled: in the buffer or handed out to PHP.
    held: u32,
    buffer: Buffer,
    partial: Option<Partial>,
    /// Accepted, but not reported to the broker yet.
    accepted: Vec<(u32, u32)>,
    accepted_count: u32,
    /// Handed out to PHP, for brokers that must be told when the link ends.
    in_hand: InHand,
    /// Settled by us, and not yet confirmed by a sender that settles second.
    confirming: Vec<(u32, Tracked)>,
    /// Taken back by the broker.
    recalled: Recalled,
    /// Returned before PHP has seen them.
    returns: Returns,
    /// How long a delivery may wait for PHP, if the broker takes back deliveries held too long.
    patience: Option<Duration>,
    /// The limits of a prefetch that adapts.
    elastic: Option<Elastic>,
    /// When the delivery that was last taken had arrived.
    taken_arrived: Option<Instant>,
    /// When it was last checked that nothing waits for too long there.
    looked_at: Option<Instant>,
    /// Observes arriving and leaving deliveries.
    watch: Option<Arc<dyn Watch>>,
}

impl Receiver {
    pub fn new(name: String, prefetch: u32, signal: Signal) -> Self {
        Self {
            name,
            phase: Phase::Attaching,
            ask: Ask::Nothing,
            answer: None,
            remote_handle: None,
            signal,
            credit: Credit::new(prefetch),
            held: 0,
            buffer: Buffer::default(),
            partial: None,
            accepted: Vec::new(),
            accepted_count: 0,
            in_hand: InHand::default(),
            confirming: Vec::new(),
            recalled: Recalled::default(),
            returns: Returns::default(),
            patience: None,
            elastic: None,
            taken_arrived: None,
            looked_at: None,
            watch: None,
        }
    }

    pub fn watched(mut self, watch: Option<Arc<dyn Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// See [`Credit::in_windows`].
    pub fn in_windows(mut self, whole_windows: bool) -> Self {
        self.credit.in_windows(whole_windows);
        self
    }

    /// See [`Credit::answered_early`].
    pub fn answered_early(mut self, early: bool) -> Self {
        self.credit.answered_early(early);
        self
    }

    /// Records the broker's answer to the attach.
    pub fn on_attach(&mut self, answer: Arc<Attach>) {
        self.remote_handle = Some(answer.handle.0);
        self.credit
            .begin(answer.initial_delivery_count.unwrap_or(0));
        self.answer = Some(answer);
    }

    /// Handles one transfer frame, which was read at `now`. The delivery's bytes are copied, so that
    /// a small job does not hold on to the whole input; small ones into `block`.
    ///
    /// # Errors
    /// [`DecodeError`] if the peer violates 2.6.14 or sends without credit.
    pub fn on_transfer(
        &mut self,
        transfer: &Transfer<&[u8]>,
        payload: &[u8],
        block: &mut Block,
        now: Instant,
    ) -> Result<(), DecodeError> {
        // (6) Deliveries that cross our detach are ignored: they are not settled, so they are
        // redelivered.
        if matches!(self.phase, Phase::Detached(_)) {
            return Ok(());
        }
        self.expect(payload.len())?;
        let Some(mut whole) = self.partial.take() else {
            return self.on_first(transfer, payload, block, now);
        };
        if transfer.aborted {
            self.spend_credit();
            return Ok(());
        }
        whole.settled |= transfer.settled;
        whole.bytes.extend_from_slice(payload);
        if transfer.more {
            self.partial = Some(whole);
        } else {
            self.deliver(Incoming {
                delivery_id: whole.delivery_id,
                payload: memory::share(whole.bytes),
                settled: whole.settled,
                tag: whole.tag,
                arrived: now,
            });
        }
        Ok(())
    }

    /// Handles the first, and usually the only frame of a delivery.
    fn on_first(
        &mut self,
        transfer: &Transfer<&[u8]>,
        payload: &[u8],
        block: &mut Block,
        now: Instant,
    ) -> Result<(), DecodeError> {
        let delivery_id = transfer
            .delivery_id
            .ok_or(DecodeError("a delivery without its id"))?;
        // (1)
        if !self.credit.covers_one() {
            return Err(DecodeError("a delivery without credit"));
        }
        if transfer.aborted {
            self.spend_credit();
        } else if transfer.more {
            let length = announced(payload).min(FORESEEN);
            let mut bytes = memory::buffer(length.max(payload.len()));
            bytes.extend_from_slice(payload);
            self.partial = Some(Partial {
                delivery_id,
                settled: transfer.settled,
                tag: Bytes::copy_from_slice(transfer.delivery_tag),
                bytes,
            });
        } else {
            let (tag, payload) = block.copy(transfer.delivery_tag, payload);
            self.deliver(Incoming {
                delivery_id,
                payload,
                settled: transfer.settled,
                tag,
                arrived: now,
            });
        }
        Ok(())
    }

    fn spend_credit(&mut self) {
        if self.credit.spend() {
            self.signal.raise();
        }
    }

    fn deliver(&mut self, incoming: Incoming) {
        let (delivery_id, settled) = (incoming.delivery_id, incoming.settled);
        self.spend_credit();
        // (4)
        self.held += 1;
        self.credit.expect_after_delivery(incoming.arrived);
        // (5) Taken back between its frames.
        if self.is_recalled(delivery_id) && !settled {
            self.recalled.drop_unseen(delivery_id);
            return;
        }
        if !settled && self.is_unwelcome(delivery_id, &incoming.payload) {
            return;
        }
        // Deliveries after the link's end are ignored.
        let is_wanted = !settled && !matches!(self.phase, Phase::Detached(_));
        if let Some(watch) = self.watch.as_ref().filter(|_| is_wanted) {
            watch.arrived(&incoming.tag, &incoming.payload);
        }
        self.buffer.push(incoming);
        if self.buffer.len() == 1 {
            self.signal.raise();
        }
    }

    /// The next delivery for PHP.
    pub fn take(&mut self) -> Option<Incoming> {
        self.returns.asking = self.buffer.is_empty();
        let incoming = self.buffer.pop()?;
        self.taken_arrived = Some(incoming.arrived);
        if incoming.settled {
            self.held = self.held.saturating_sub(1);
        } else if let Some(history) = self.returns.history_in_hand(&incoming.payload) {
            self.in_hand.add(incoming.delivery_id, history);
        }
        Some(incoming)
    }

    /// The credit to grant now, if it is worth a flow frame.
    pub fn wanted_credit(&mut self, now: Instant) -> Option<u32> {
        if !self.may_ask() {
            return None;
        }
        let is_awaited = self.returns.asking && self.buffer.is_empty();
        if is_awaited {
            self.stretch();
        } else if self.is_full() {
            return None;
        }
        self.credit.renew(self.held, is_awaited, now)
    }

    /// Whether the broker would act on new credit.
    fn may_ask(&self) -> bool {
        self.phase == Phase::Attached && !self.is_blocked()
    }

    /// Adds credit for `count` deliveries, which is never renewed.
    pub fn demand(&mut self, count: u32) {
        self.credit.demand(count);
    }

    /// Whether the broker has answered a drain, so that everything it had has arrived.
    pub fn is_drained(&self) -> bool {
        self.credit.mode == Mode::OnDemand { drained: true }
    }

    /// Asks whether there is more. Returns the credit to send with a drain, if the question must be
    /// sent now.
    pub fn ask(&mut self, now: Instant) -> Option<u32> {
        match self.may_ask() {
            true => self.credit.ask(self.held, now),
            false => None,
        }
    }

    /// Whether everything that the broker had at the last question has arrived, or nothing can
    /// arrive.
    pub fn is_answered(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Attaching => false,
            Phase::Detached(_) => true,
            Phase::Attached => self.credit.is_answered(now),
        }
    }

    /// The credit to send again to a broker that may have missed a question.
    pub fn ask_again(&mut self, now: Instant) -> Option<u32> {
        match self.phase {
            Phase::Attached => self.credit.ask_again(now),
            _ => None,
        }
    }

    /// Handles the broker's answer to a drain. Returns the credit of a drain that must follow.
    pub fn on_drained(
        &mut self,
        delivery_count: Option<u32>,
        credit: u32,
        now: Instant,
    ) -> Option<u32> {
        let (told, may_ask) = ((delivery_count, credit), self.may_ask());
        match self.credit.on_drained(told, self.held, may_ask, now) {
            Answer::Early => None,
            Answer::Again(credit) => Some(credit),
            Answer::All => {
                self.signal.raise();
                None
            }
        }
    }

    /// Handles the broker's state, reported without a drain.
    pub fn on_state(
        &mut self,
        delivery_count: Option<u32>,
        credit: u32,
        available: Option<u32>,
        now: Instant,
    ) {
        let has_none = self.credit.on_available(available, now);
        if self.credit.on_state(delivery_count, credit) || has_none {
            self.signal.raise();
        }
    }

    /// Sets the prefetch, zero while paused; it takes effect with the next flow. True if it
    /// changed.
    pub fn set_prefetch(&mut self, prefetch: u32) -> bool {
        self.credit.set_prefetch(prefetch)
    }

    /// Whether nothing is wanted, so that deliveries still in flight are returned.
    pub fn is_paused(&self) -> bool {
        matches!(self.credit.mode, Mode::Paused { .. })
    }

    /// The number of deliveries that the broker may still send.
    pub fn credit(&self) -> u32 {
        self.credit.granted()
    }

    /// The number of delivered and unsettled deliveries.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// The number and size of buffered deliveries, and whether any of them is settled.
    #[cfg(test)]
    pub fn buffered(&self) -> (usize, usize, bool) {
        let buffer = &self.buffer;
        (buffer.len(), buffer.bytes(), buffer.has_settled())
    }

    /// When the first buffered delivery arrived.
    #[cfg(test)]
    pub fn waiting_since(&self) -> Option<Instant> {
        self.buffer.front().map(|first| first.arrived)
    }

    /// Whether an adapted prefetch may return what PHP has not seen.
    #[cfg(test)]
    pub fn returns_unseen(&self) -> bool {
        self.elastic
            .as_ref()
            .is_some_and(|one| one.patience.is_some())
    }

    /// The most unsettled deliveries at once.
    #[cfg(test)]
    pub fn prefetch(&self) -> u32 {
        self.credit.prefetch()
    }

    /// The number of deliveries settled by the broker and not taken yet.
    #[cfg(test)]
    pub fn buffered_settled(&self) -> u32 {
        self.buffer.iter().filter(|one| one.settled).count() as u32
    }

    /// The number of deliveries that credit covers, so that they do not end the connection.
    #[cfg(test)]
    pub fn covered(&self) -> u32 {
        self.credit.granted + self.credit.revoked
    }

    /// The delivery-count, by our own counting.
    #[cfg(test)]
    pub fn delivery_count(&self) -> u32 {
        self.credit.delivery_count()
    }

    /// The delivery-count for a flow; `None` until the broker has defined its start (2.7.4).
    pub fn known_count(&self) -> Option<u32> {
        self.answer.is_some().then(|| self.credit.delivery_count())
    }

    /// Records that the link has ended (6): the broker redelivers everything in the buffer.
    pub fn fail(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Detached(_)) {
            return;
        }
        self.phase = Phase::Detached(error.clone());
        if self.held as usize > self.buffer.len() {
            threads::tell_lost();
        }
        if let Some(watch) = &self.watch {
            let unsettled = self.buffer.iter().filter(|incoming| !incoming.settled);
            unsettled.for_each(|incoming| watch.forget(&incoming.tag));
        }
        for (_, tracked) in self.confirming.drain(..) {
            tracked.resolve(Confirmation::Lost(error.clone()));
        }
        self.buffer.clear();
        self.partial = None;
        self.accepted.clear();
        self.accepted_count = 0;
        self.signal.raise();
    }
}

/// `accepted` as encoded in a disposition.
const ACCEPTED: [u8; 4] = [0x00, 0x53, 0x24, 0x45];
/// `released` as encoded in a disposition.
const RELEASED: [u8; 4] = [0x00, 0x53, 0x26, 0x45];

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
