//! The end of a run: everything in progress finishes, and both sides agree on what is left.

use super::broker::Broker;
use super::message::Fate;
use super::ops::Manner;
use super::world::{World, ACCEPTED};
use crate::connection::protocol::link::Phase;
use crate::connection::protocol::tracker::Confirmation;

/// Lets everything finish, in three checked steps.
pub fn finish(world: &mut World) {
    world.broker.lose_begin = false;
    world.broker.refuse_attach = false;
    settle(world);
    same_on_both_sides(world);
    work_off(world);
    every_job_once(world);
    every_message_once(world);
    close(world);
}

/// No bytes are in flight, and nothing is gathered.
fn settle(world: &mut World) {
    for _ in 0..3 {
        world.wait_out();
        let channels: Vec<u16> = world.broker.sessions.keys().copied().collect();
        for channel in channels {
            finish_partial(&mut world.broker, channel);
            world.broker.answer_drain(channel);
            world.broker.tell(channel, false);
        }
        world.exchange();
        world.check();
    }
}

fn finish_partial(broker: &mut Broker, channel: u16) {
    while broker.is_sending(channel) && broker.deliver(channel, usize::MAX) {}
}

/// (3), (4): both ends agree on counts, credit and unsettled deliveries.
fn same_on_both_sides(world: &mut World) {
    for receiving in &world.receivers {
        let Ok((session, _)) = world.client.session(receiving.key) else {
            continue;
        };
        let Ok(receiver) = session.receiver() else {
            continue;
        };
        if receiver.phase != Phase::Attached {
            assert!(
                receiver.phase != Phase::Attaching,
                "an attach without an answer"
            );
            continue;
        }
        let session = world.broker.sessions.get(&receiving.key.channel);
        let source = session.and_then(|session| session.source.as_ref());
        let source = source.expect("a link that the broker does not know");
        assert_eq!(
            receiver.delivery_count(),
            source.delivery_count,
            "(3) delivery-count"
        );
        assert_eq!(receiver.credit(), source.credit(), "(3) credit");
        let covered = receiver.delivery_count().wrapping_add(receiver.covered());
        assert_eq!(covered, source.furthest, "(1), (3) granted and revoked");
        let settled = receiver.buffered_settled() as usize;
        assert_eq!(
            receiver.held() as usize - settled,
            source.unsettled.len(),
            "(4) unsettled"
        );
        for incoming in receiving.hand.iter().filter(|incoming| !incoming.settled) {
            let id = incoming.delivery_id;
            assert!(source.unsettled.contains_key(&id), "(4) {id} is in hand");
        }
        for id in &receiving.settled {
            assert!(!source.unsettled.contains_key(id), "(4) {id} was settled");
        }
    }
}

/// PHP processes all remaining jobs; new links replace ended ones.
fn work_off(world: &mut World) {
    let abandoned = world
        .receivers
        .iter()
        .any(|receiving| receiving.abandoned > 0);
    for round in 0..2000 {
        let left = world.broker.left();
        if left == 0 {
            return;
        }
        // Receivers that abandoned jobs keep holding them, and may get no more.
        if (abandoned && round % 50 == 49) || round % 200 == 199 {
            world.renew_links();
        }
        for at in 0..world.receivers.len() {
            world.want(at);
            while world.take(at) {}
            while !world.receivers[at].hand.is_empty() {
                world.settle(at, 0, 4);
            }
            world.take(at);
        }
        world.pass(std::time::Duration::from_millis(10), true);
        world.exchange();
        let channels: Vec<u16> = world.broker.sessions.keys().copied().collect();
        for channel in channels {
            while world.broker.deliver(channel, usize::MAX) {}
            world.broker.answer_drain(channel);
        }
        world.broker.heartbeat();
        world.exchange();
        world.check();
    }
    panic!(
        "jobs are left: {} after {:?}",
        world.broker.left(),
        world.elapsed()
    );
}

/// No job is lost, and none is accepted twice (which the broker checks).
fn every_job_once(world: &World) {
    let done = &world.broker.done;
    assert_eq!(
        done.len() as u32,
        world.broker.published,
        "jobs that are nowhere"
    );
    let accepted = done
        .values()
        .filter(|fate| **fate == Fate::Accepted)
        .count();
    assert!(accepted <= done.len());
}

/// Each sent message has one outcome, and arrived once and complete.
fn every_message_once(world: &mut World) {
    for _ in 0..5000 {
        let channels: Vec<u16> = world.broker.sessions.keys().copied().collect();
        for channel in channels {
            world.broker.confirm(channel, 100, true, &ACCEPTED);
            (0..3).for_each(|lane| world.broker.grant(channel, lane, 2, false));
        }
        world.exchange();
        world.check();
        if world.outcomes.len() as u64 == world.tracked {
            break;
        }
    }
    assert_eq!(
        world.outcomes.len() as u64,
        world.tracked,
        "messages without an outcome"
    );
    let mut received = world.broker.received.clone();
    let count = received.len();
    received.sort();
    received.dedup();
    assert_eq!(received.len(), count, "a message came twice");
    for payload in &received {
        assert!(world.given.contains(payload), "a message that was not sent");
    }
    let confirmed = world.outcomes.values();
    let confirmed = confirmed.filter(|outcome| !matches!(outcome, Confirmation::Lost(_)));
    assert!(confirmed.count() <= count, "confirmed, and never received");
}

/// The connection ends in an orderly way.
fn close(world: &mut World) {
    world.client.end_sessions().unwrap();
    world.wait_out();
    assert!(
        !world.client.has_sessions(),
        "a session that is never ended"
    );
    world.client.close().unwrap();
    world.exchange();
    assert!(world.client.lost().is_some() && world.broker.is_closed);
}

/// Helpers for the end of a run.
impl World {
    /// Replaces receivers and senders that have ended, and receivers that abandoned jobs.
    pub fn renew_links(&mut self) {
        for receiving in std::mem::take(&mut self.receivers) {
            self.client.end_session(receiving.key);
        }
        self.wait_out();
        let plain = Manner {
            elastic: true,
            ..Manner::default()
        };
        self.open_receiver(4, plain);
        // Senders and lost begins may have taken all channels.
        while self.receivers.is_empty() && !self.client.is_closing() {
            let Some(sender) = self.senders.pop() else {
                return;
            };
            self.client.end_session(sender);
            self.wait_out();
            self.open_receiver(4, plain);
        }
    }

    /// Makes the receiver request jobs, if it may.
    pub fn want(&mut self, at: usize) {
        self.with_receiver(at, |session, now, out, receiving| {
            if receiving.manner.on_demand {
                if session.receiver().is_ok_and(|r| r.credit() == 0)
                    && session.demand(1, false, out).is_ok()
                {
                    receiving.prefetch += 1;
                }
            } else {
                let prefetch = receiving.prefetch.max(1);
                let _ = session.set_prefetch(prefetch, now, out);
            }
        });
    }
}
