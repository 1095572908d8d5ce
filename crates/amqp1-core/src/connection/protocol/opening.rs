//! Opens links, each with a session of its own.

use std::time::Instant;

use fe2o3_amqp_types::definitions::{Role, SenderSettleMode};
use serde_amqp::primitives::Symbol;

use super::link::{attach, source, target};
use super::options::{ReceiverOptions, SenderOptions};
use super::receiver::Receiver;
use super::sender::Sender;
use super::sessions::LinkKey;
use super::{internal, Protocol};
use crate::base::wait::Signal;
use crate::error::Result;

impl Protocol {
    /// Attaches a sender to `address`, or to the anonymous terminus. Messages sent before the
    /// broker's answer are queued.
    ///
    /// # Errors
    /// Those of [`Protocol::open_session`].
    pub fn open_sender(
        &mut self,
        name: String,
        address: Option<&str>,
        options: SenderOptions,
        signal: Signal,
        now: Instant,
    ) -> Result<LinkKey> {
        let key = self.open_session(signal, now)?;
        let target = options.ask.of_target(target(address));
        let mut attach = attach(&name, Role::Sender, source("amqp1"), target);
        attach.snd_settle_mode = SenderSettleMode::Unsettled;
        let (session, out) = self.session(key)?;
        let mut sender = Sender::new(name).asking(options.ask);
        sender.lanes.allow(options.further_lanes, &attach);
        session
            .attach_sender(sender, &attach, out)
            .map_err(internal)?;
        Ok(key)
    }

    /// Attaches a receiver to `address`; `signal` is raised when deliveries arrive or the link
    /// ends.
    ///
    /// # Errors
    /// Those of [`Protocol::open_session`].
    pub fn open_receiver(
        &mut self,
        name: String,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
        now: Instant,
    ) -> Result<LinkKey> {
        let key = self.open_session(signal.clone(), now)?;
        let source = match options.dynamic {
            Some(dynamic) => dynamic.source(),
            None => options.ask.of_source(source(address)),
        };
        let mut attach = attach(&name, Role::Receiver, source, target(Some("amqp1")));
        if !options.properties.is_empty() {
            let properties = options.properties.iter().cloned();
            attach.properties = Some(properties.map(|(k, v)| (Symbol::new(k), v)).collect());
        }
        (attach.rcv_settle_mode, attach.snd_settle_mode) = options.settling.modes();
        if let (Some((name, value)), Some(source)) = (&options.filter, &mut attach.source) {
            let filter = [(Symbol::from(*name), value.clone())];
            source.filter = Some(filter.into_iter().collect());
        }
        let (session, out) = self.session(key)?;
        let mut receiver = Receiver::new(name, options.prefetch, signal);
        receiver.ask = options.ask;
        let receiver = receiver
            .in_windows(options.in_windows)
            .answered_early(options.answered_early)
            .with_ledger(options.ledger)
            .counted_at_the_end(options.counts_end)
            .with_timeout(options.timeout)
            .elastic(options.elastic.clone())
            .releasing_in_hand(options.releases_in_hand)
            .watched(options.watch.clone())
            .of_queue(options.queue.clone());
        session
            .attach_receiver(receiver, &attach, out)
            .map_err(internal)?;
        Ok(key)
    }
}
