//! A client's protocol and the model broker, the bytes between them, and their own clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::broker::{Broker, CHANNEL_MAX, MAX_FRAME};
use super::ops::{Manner, Op};
use crate::base::wait::Signal;
use crate::connection::protocol::elastic::{Elastic, LastTaken};
use crate::connection::protocol::options::{ReceiverOptions, SenderOptions, Settling};
use crate::connection::protocol::receiver::Incoming;
use crate::connection::protocol::remote::Remote;
use crate::connection::protocol::session::receiving::Settled;
use crate::connection::protocol::session::Session;
use crate::connection::protocol::sessions::{LinkKey, UNANSWERED};
use crate::connection::protocol::tracker::{Confirmation, Tracked, Tracker};
use crate::connection::protocol::watch::Watch;
use crate::connection::protocol::{Protocol, MAX_FRAME_SIZE};
use crate::error::condition::Condition;
use crate::error::Result;
use crate::format::history::Ledger;
use crate::wire::state;

/// `accepted` in a disposition.
pub const ACCEPTED: [u8; 4] = [0x00, 0x53, 0x24, 0x45];

const HEARTBEAT: Duration = Duration::from_secs(20);

/// How long a delivery may stay unsettled, if the receiver knows the limit.
pub const TIMEOUT: Duration = Duration::from_secs(8);

/// The limits of a receiver whose prefetch adapts.
pub const PATIENCE: Duration = Duration::from_secs(1);
pub const BYTES: usize = 150;
pub const MOST: u32 = 12;

/// An observer of deliveries: those that arrived and were neither taken nor forgotten.
#[derive(Debug, Default)]
pub struct Heard(crate::base::sync::Mutex<Vec<Bytes>>);

impl Watch for Heard {
    fn arrived(&self, tag: &[u8], _: &Bytes) {
        let mut heard = self.0.lock();
        assert!(!heard.iter().any(|one| one == tag), "heard of twice");
        heard.push(Bytes::copy_from_slice(tag));
    }

    fn forget(&self, tag: &[u8]) {
        let mut heard = self.0.lock();
        let at = heard.iter().position(|one| one == tag);
        heard.remove(at.expect("forgotten, and never heard of"));
    }
}

pub struct Receiving {
    pub key: LinkKey,
    pub manner: Manner,
    /// The highest prefetch at any time.
    pub prefetch: u32,
    /// Taken, and neither settled nor abandoned.
    pub hand: Vec<Incoming>,
    /// Abandoned without an outcome.
    pub abandoned: u32,
    pub settled: Vec<u32>,
    heard: Arc<Heard>,
}

pub struct World {
    pub client: Protocol,
    pub broker: Broker,
    pub now: Instant,
    start: Instant,
    input: BytesMut,
    pub receivers: Vec<Receiving>,
    /// When PHP last took a delivery.
    pub taken: Arc<LastTaken>,
    pub senders: Vec<LinkKey>,
    pub tracker: Tracker,
    pub outcomes: BTreeMap<u64, Confirmation>,
    /// The number of tracked messages.
    pub tracked: u64,
    /// All messages given to senders.
    pub given: Vec<Bytes>,
    names: u32,
}

impl World {
    pub fn new() -> Self {
        let start = Instant::now();
        let remote = Remote {
            max_frame_size: MAX_FRAME as u32,
            channel_max: CHANNEL_MAX,
            idle_time_out: Some(HEARTBEAT),
            ..Remote::default()
        };
        Self {
            client: Protocol::new("model", &remote, HEARTBEAT, start),
            broker: Broker::default(),
            now: start,
            start,
            input: BytesMut::new(),
            receivers: Vec::new(),
            taken: Arc::new(LastTaken::new(start)),
            senders: Vec::new(),
            tracker: Tracker::default(),
            outcomes: BTreeMap::new(),
            tracked: 0,
            given: Vec::new(),
            names: 0,
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("link-{}", self.names)
    }

    /// Moves bytes from the client to the broker.
    pub fn write(&mut self, most: usize) {
        let octets = self.client.poll_output().beginning(most);
        self.client.handle_written(octets.len(), self.now);
        self.broker.read(&octets);
    }

    /// Moves bytes from the broker to the client.
    pub fn read(&mut self, most: usize) {
        let octets: Vec<u8> = self
            .broker
            .out
            .drain(..most.min(self.broker.out.len()))
            .collect();
        if self.client.lost().is_some() {
            return;
        }
        let mut octets = &octets[..];
        // As the socket: where a long frame's bytes belong, or into the input.
        while let Some(mut room) = self.client.poll_room().filter(|_| !octets.is_empty()) {
            let placed = octets.len().min(room.remaining_mut()).min(most / 2 + 1);
            room.put_slice(&octets[..placed]);
            octets = &octets[placed..];
            let handled = self.client.handle_placed(placed, self.now);
            handled.expect("a broker that keeps to the protocol is not blamed");
        }
        self.input.extend_from_slice(octets);
        let over = self.client.handle_input(&mut self.input, self.now);
        let over = over.expect("a broker that keeps to the protocol is not blamed");
        assert!(self.input.len() <= MAX_FRAME_SIZE as usize);
        if over {
            let error = crate::error::Error::connection("closed");
            self.client.handle_lost(&error);
        }
    }

    /// Lets time pass, and fires the timer when it is due, or at any time.
    pub fn pass(&mut self, time: Duration, any_time: bool) {
        self.now += time;
        let due = self.client.poll_timeout(self.now) <= self.now;
        if (due || any_time) && self.client.lost().is_none() {
            self.client
                .handle_timeout(self.now)
                .expect("the broker is not silent");
            // Otherwise, the driver would spin.
            let next = self.client.poll_timeout(self.now);
            assert!(next > self.now, "a timer that is always due");
            self.check_waiting();
        }
    }

    /// Moves bytes both ways until neither side has more to send.
    pub fn exchange(&mut self) {
        for _ in 0..10_000 {
            if self.client.poll_output().is_empty() && self.broker.out.is_empty() {
                return;
            }
            self.write(usize::MAX);
            self.read(usize::MAX);
        }
        panic!("they never come to an end");
    }

    fn elastic(&self, ledger: Ledger) -> Elastic {
        Elastic {
            patience: matches!(ledger, Ledger::All | Ledger::Lost).then_some(PATIENCE),
            bytes: BYTES,
            most: MOST,
            taken: Arc::clone(&self.taken),
        }
    }

    pub fn open_receiver(&mut self, prefetch: u32, manner: Manner) {
        let name = self.name();
        let heard = Arc::new(Heard::default());
        let options = ReceiverOptions {
            prefetch,
            in_windows: manner.in_windows,
            answered_early: manner.early,
            elastic: manner.elastic.then(|| self.elastic(manner.ledger)),
            ledger: manner.ledger,
            timeout: manner.knows_timeout.then_some(TIMEOUT),
            settling: match manner.sent_settled {
                true => Settling::Sent,
                false => Settling::First,
            },
            releases_in_hand: manner.releases_in_hand,
            counts_end: manner.counts_end,
            watch: Some(Arc::clone(&heard) as Arc<dyn Watch>),
            ..ReceiverOptions::default()
        };
        let signal = Signal::new();
        match self
            .client
            .open_receiver(name, "q", &options, signal, self.now)
        {
            Ok(key) => self.receivers.push(Receiving {
                key,
                manner,
                prefetch,
                hand: Vec::new(),
                abandoned: 0,
                settled: Vec::new(),
                heard,
            }),
            Err(error) => assert!(error.is(Condition::ALL_IN_USE) || self.client.is_closing()),
        }
    }

    pub fn open_sender(&mut self) {
        // Receivers need channels as well.
        if self.senders.len() == usize::from(CHANNEL_MAX) - 1 {
            return;
        }
        let name = self.name();
        // One more than the broker has handles for.
        let options = SenderOptions {
            further_lanes: 3,
            ..SenderOptions::default()
        };
        let signal = Signal::new();
        match self
            .client
            .open_sender(name, None, options, signal, self.now)
        {
            Ok(key) => self.senders.push(key),
            Err(error) => assert!(error.is(Condition::ALL_IN_USE) || self.client.is_closing()),
        }
    }

    pub fn send(&mut self, at: usize, size: usize, settled: bool) {
        let Some(key) = self.senders.get(at % self.senders.len().max(1)).copied() else {
            return;
        };
        let mut payload = (self.given.len() as u32).to_be_bytes().to_vec();
        payload.resize(size.max(4), 9);
        let payload = Bytes::from(payload);
        let tracked = (!settled).then(|| Tracked {
            tracker: self.tracker.clone(),
            index: self.tracked,
        });
        if self.client.send(key, payload.clone(), 0, tracked).is_ok() {
            self.tracked += u64::from(!settled);
            self.given.push(payload);
        }
    }

    /// Hands a delivery to PHP; true if there was one.
    pub fn take(&mut self, at: usize) -> bool {
        let count = self.receivers.len().max(1);
        let Some(receiving) = self.receivers.get_mut(at % count) else {
            return false;
        };
        let Ok((session, out)) = self.client.session(receiving.key) else {
            return false;
        };
        let Ok(taken) = session.take() else {
            return false;
        };
        if session.is_behind(taken.is_some()) {
            session.catch_up(self.now, out).unwrap();
        }
        let Some(incoming) = taken else {
            return false;
        };
        self.taken.set(self.now);
        let id = incoming.delivery_id;
        assert!(
            !receiving.hand.iter().any(|one| one.delivery_id == id),
            "handed out twice"
        );
        let session = &self.broker.sessions.get(&receiving.key.channel);
        if let Some(source) = session.and_then(|session| session.source.as_ref()) {
            // Everything that the broker sent has been read.
            let is_known = self.broker.out.is_empty() && self.input.is_empty();
            let is_recalled = is_known && source.recalled.contains(&id);
            assert!(!is_recalled, "(5) {id} is handed out, and was taken back");
            assert_eq!(
                source.sent.get(&id),
                Some(&incoming.payload),
                "another payload"
            );
        }
        if !incoming.settled {
            receiving.heard.forget(&incoming.tag);
        }
        receiving.hand.push(incoming);
        true
    }

    /// Settles one of the handed-out deliveries.
    pub fn settle(&mut self, at: usize, which: usize, how: u8) {
        let count = self.receivers.len().max(1);
        let Some(receiving) = self.receivers.get_mut(at % count) else {
            return;
        };
        if receiving.hand.is_empty() {
            return;
        }
        let incoming = receiving.hand.remove(which % receiving.hand.len());
        let id = incoming.delivery_id;
        if incoming.settled {
            return;
        }
        let Ok((session, out)) = self.client.session(receiving.key) else {
            return;
        };
        let done: Result<Settled> = match how % 5 {
            0 => session.settle(
                id,
                &state::rejected("amqp:decode-error", "no"),
                self.now,
                out,
            ),
            1 => session.settle(id, &state::modified(true, &[]), self.now, out),
            2 => {
                session.abandon(id, out);
                receiving.abandoned += 1;
                return;
            }
            _ => self.client.accept(receiving.key, id, || self.now),
        };
        match done {
            Ok(Settled::Gathered) => self.client.gather(self.now),
            Ok(Settled::AtOnce) => {
                let (session, out) = self.client.session(receiving.key).unwrap();
                session.flush(self.now, out).unwrap();
            }
            Ok(Settled::Recalled) | Err(_) => return,
        }
        receiving.settled.push(id);
    }

    pub fn with_receiver(
        &mut self,
        at: usize,
        work: impl FnOnce(&mut Session, Instant, &mut Vec<u8>, &mut Receiving),
    ) {
        let count = self.receivers.len().max(1);
        if let Some(receiving) = self.receivers.get_mut(at % count) {
            if let Ok((session, out)) = self.client.session(receiving.key) {
                work(session, self.now, out, receiving);
            }
        }
    }

    /// Executes one step. Errors of a command belong to its caller.
    pub fn step(&mut self, op: &Op) {
        match op {
            Op::OpenReceiver(prefetch, manner) => self.open_receiver(*prefetch, *manner),
            Op::OpenSender => self.open_sender(),
            Op::Send(at, size, settled) => self.send(*at, *size, *settled),
            Op::SendMany(at, count, size) => {
                (0..*count).for_each(|_| self.send(*at, *size, false));
            }
            Op::Take(at) => drop(self.take(*at)),
            Op::Settle(at, which, how) => self.settle(*at, *which, *how),
            Op::Prefetch(at, prefetch) => {
                self.with_receiver(*at, |session, now, out, receiving| {
                    if !receiving.manner.on_demand {
                        let _ = session.set_prefetch(*prefetch, now, out);
                        receiving.prefetch = receiving.prefetch.max(*prefetch);
                    }
                });
            }
            Op::Ask(at) => {
                self.with_receiver(*at, |session, now, out, _| session.ask(now, out).unwrap());
            }
            Op::Demand(at, count, drain) => {
                self.with_receiver(*at, |session, _, out, receiving| {
                    if receiving.manner.on_demand && session.demand(*count, *drain, out).is_ok() {
                        receiving.prefetch += count;
                    }
                });
            }
            Op::Hush(at) => self.with_receiver(*at, |session, _, out, _| {
                let _ = session.hush(out);
            }),
            Op::CloseReceiver(at) => {
                if !self.receivers.is_empty() {
                    let at = at % self.receivers.len();
                    self.client.end_session(self.receivers.swap_remove(at).key);
                }
            }
            Op::CloseSender(at) => {
                if !self.senders.is_empty() {
                    let at = at % self.senders.len();
                    self.client.end_session(self.senders.swap_remove(at));
                }
            }
            Op::Write(most) => self.write(*most),
            Op::Read(most) => self.read(*most),
            Op::Pass(time, any_time) => {
                // A broker that is alive sends something from time to time.
                self.broker.heartbeat();
                self.pass(*time, *any_time);
            }
            broker => self.broker_step(broker),
        }
        self.check();
    }

    fn broker_step(&mut self, op: &Op) {
        let broker = &mut self.broker;
        match op {
            Op::Publish(count, deaths, size) => return broker.publish(*count, *deaths, *size),
            Op::LoseBegin => return broker.lose_begin = true,
            Op::RefuseAttach => return broker.refuse_attach = true,
            _ => {}
        }
        let channels: Vec<u16> = broker.sessions.keys().copied().collect();
        let Some(channel) = channels.get(op.session() % channels.len().max(1)).copied() else {
            return;
        };
        match op {
            Op::Deliver(_, count, size) => (0..*count).for_each(|_| {
                broker.deliver(channel, *size);
            }),
            Op::Drained(_) => broker.answer_drain(channel),
            Op::Tell(_, echo) => broker.tell(channel, *echo),
            Op::Grant(_, lane, credit, drain) => broker.grant(channel, *lane, *credit, *drain),
            Op::Confirm(_, count, first, how) => {
                let state = [[0x00, 0x53, 0x26, 0x45], ACCEPTED][usize::from(how % 3 > 0)];
                broker.confirm(channel, *count, *first, &state);
            }
            Op::Recall(_, from, count) => broker.recall(channel, *from, *count),
            Op::EndLink(_, handle) => broker.end_link(channel, *handle),
            Op::EndSession(_) => broker.end_session(channel),
            client => panic!("no step of the broker: {client:?}"),
        }
    }

    /// Waits until lost begins are given up and gathered output is sent.
    pub fn wait_out(&mut self) {
        let until = self.now + 2 * UNANSWERED;
        while self.now < until {
            self.broker.heartbeat();
            self.exchange();
            self.pass(Duration::from_millis(500), false);
        }
        self.exchange();
    }

    /// The elapsed time, for failure reports.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}
