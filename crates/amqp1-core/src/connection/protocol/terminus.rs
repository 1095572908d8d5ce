//! A link's requirement on its node, and the check of the broker's answer.
//!
//! The address alone does not determine the kind of node. Artemis treats an address as a topic,
//! unless the terminus has the capability `queue`. A job confirmed by a topic is lost if nobody
//! subscribes, and otherwise each consumer gets a copy.

use fe2o3_amqp_types::messaging::{DistributionMode, Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::primitives::{Array, Symbol};

use crate::error::{Error, Result};

/// The terminus capabilities that brokers agree on (the JMS mapping of AMQP 1.0).
const QUEUE: &str = "queue";
const NO_QUEUES: [&str; 3] = ["topic", "temporary-topic", "shared"];

/// The requirement on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ask {
    /// None: the address determines the kind of node.
    #[default]
    Nothing,
    /// It must be a queue. It counts as one unless it says otherwise.
    Queue,
    /// It must be a queue, and say so.
    ConfirmedQueue,
}

impl Ask {
    fn capabilities(self) -> Option<Array<Symbol>> {
        (self != Ask::Nothing).then(|| Array(vec![Symbol::from(QUEUE)]))
    }

    pub fn of_source(self, mut source: Source) -> Source {
        source.capabilities = self.capabilities();
        source
    }

    pub fn of_target(self, mut target: Target) -> Target {
        target.capabilities = self.capabilities();
        target
    }

    /// Checks the terminus in the broker's answer to the attach.
    ///
    /// # Errors
    /// Unsupported if the node does not store jobs, each for one consumer.
    pub fn judge(self, answer: &Attach) -> Result<()> {
        if self == Ask::Nothing {
            return Ok(());
        }
        let source = answer.source.as_deref();
        let target = match answer.target.as_deref() {
            Some(TargetArchetype::Target(target)) => Some(target),
            _ => None,
        };
        // The broker answers our sender with a receiver, whose target is the node.
        let is_target = answer.role == fe2o3_amqp_types::definitions::Role::Receiver;
        let (address, capabilities) = match is_target {
            true => (
                target.and_then(|target| target.address.as_deref()),
                target.and_then(|target| target.capabilities.as_ref()),
            ),
            false => (
                source.and_then(|source| source.address.as_deref()),
                source.and_then(|source| source.capabilities.as_ref()),
            ),
        };
        let address = address.unwrap_or_default();
        let is = |name: &str| {
            let mut all = capabilities.iter().flat_map(|all| all.iter());
            all.any(|one| one.as_str() == name)
        };
        if let Some(what) = NO_QUEUES.into_iter().find(|name| is(name)) {
            return Err(no_queue(address, &format!("is a {what} for this broker")));
        }
        let mode = source.and_then(|source| source.distribution_mode.as_ref());
        if !is_target && matches!(mode, Some(DistributionMode::Copy)) {
            return Err(no_queue(address, "delivers a copy to each consumer"));
        }
        if self == Ask::ConfirmedQueue && !is(QUEUE) {
            return Err(no_queue(address, "is not a queue for this broker"));
        }
        Ok(())
    }
}

fn no_queue(address: &str, what: &str) -> Error {
    Error::unsupported(format!(
        "the address '{address}' {what}, which would lose jobs or deliver them to several consumers; create a queue of that name (on Artemis: an anycast queue), or use another name"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fe2o3_amqp_types::definitions::Role;

    use super::super::link::{attach, source, target};
    use super::*;

    fn answer(role: Role, capabilities: &[&str]) -> Attach {
        let all = capabilities.iter().map(|name| Symbol::from(*name));
        let all = Some(Array(all.collect()));
        let (mut source, mut target) = (source("q"), target(Some("q")));
        match role {
            Role::Receiver => target.capabilities = all,
            Role::Sender => source.capabilities = all,
        }
        attach("link", role, source, target)
    }

    #[test]
    fn a_topic_is_refused_and_silence_only_where_an_answer_is_due() {
        for role in [Role::Receiver, Role::Sender] {
            for (ask, capabilities, good) in [
                (Ask::Nothing, &["topic"][..], true),
                (Ask::Queue, &[], true),
                (Ask::Queue, &["queue"], true),
                (Ask::Queue, &["DELAYED_DELIVERY"], true),
                (Ask::Queue, &["topic"], false),
                (Ask::Queue, &["shared", "topic"], false),
                (Ask::ConfirmedQueue, &["queue"], true),
                (Ask::ConfirmedQueue, &["other"], false),
                (Ask::ConfirmedQueue, &[], false),
            ] {
                let judged = ask.judge(&answer(role.clone(), capabilities));
                assert_eq!(judged.is_ok(), good, "{ask:?} {capabilities:?}");
                if let Err(error) = judged {
                    assert!(error.message().contains("address 'q'"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_source_that_copies_is_refused() {
        let mut copies = answer(Role::Sender, &[]);
        copies.source.as_mut().unwrap().distribution_mode = Some(DistributionMode::Copy);
        assert!(Ask::Queue.judge(&copies).is_err());
        assert!(Ask::Nothing.judge(&copies).is_ok());
    }
}
