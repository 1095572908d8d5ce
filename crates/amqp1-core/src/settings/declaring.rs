//! How the options of a queue together determine its declaration.

use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::settings::options::QueueOptions;
use crate::settings::topology_options::QueueType;

impl QueueOptions {
    /// The type that the queue is declared with.
    pub(crate) fn queue_type(&self) -> QueueType {
        match (
            self.topology.argument("x-queue-type"),
            self.topology.queue_type,
        ) {
            (Some(Input::Text(text)), _) if text == "classic" => QueueType::Classic,
            (Some(_), _) => QueueType::Quorum,
            (None, Some(chosen)) => chosen,
            // In RabbitMQ, quorum queues cannot be exclusive or transient.
            (None, None) if self.exclusive || !self.durable => QueueType::Classic,
            (None, None) => QueueType::Quorum,
        }
    }

    /// The first option about the declaration; `None` if the queue is not declared.
    pub(crate) fn declared(&self) -> Option<&'static str> {
        if !self.declare {
            return None;
        }
        if self.exclusive {
            return Some("exclusive");
        }
        if !self.topology.arguments.is_empty() {
            return Some("arguments");
        }
        if self.topology.bindings.is_some() {
            return Some("bindings");
        }
        self.topology.named().first().map(|(option, _, _)| *option)
    }

    /// The first option that requires more than a durable classic queue.
    pub(crate) fn beyond_classic(&self) -> Option<&'static str> {
        if self.exclusive {
            return Some("exclusive");
        }
        if !self.topology.arguments.is_empty() {
            return Some("arguments");
        }
        let classic = Input::Text(QueueType::Classic.as_str().to_owned());
        let mut named = self.topology.named().into_iter();
        named.find_map(|(option, _, value)| (value != classic).then_some(option))
    }

    /// Checks the options as a whole.
    pub(crate) fn check(&self) -> Result<()> {
        for (option, argument, _) in self.topology.named() {
            if self.topology.argument(argument).is_some() {
                return Err(Error::config(format!(
                    "options '{option}' and 'arguments' both set {argument}: remove one of them"
                )));
            }
        }
        let quorum = self.queue_type() == QueueType::Quorum;
        if quorum && self.exclusive {
            return Err(Error::config(
                "option 'exclusive': a quorum queue cannot be exclusive; remove 'queue_type', or set it to 'classic'",
            ));
        }
        if quorum && !self.durable {
            return Err(Error::config(
                "option 'durable': a quorum queue is always durable; remove 'queue_type', or set it to 'classic'",
            ));
        }
        if quorum && self.topology.max_priority.is_some() {
            return Err(Error::config(
                "option 'max_priority' is for queues of type 'classic': a quorum queue has priorities without it; set 'queue_type' to 'classic', or remove the option",
            ));
        }
        if !quorum && self.topology.consumer_timeout.is_some() {
            return Err(Error::config(
                "option 'consumer_timeout' is for queues of type 'quorum': a classic queue never takes a job back; remove the option",
            ));
        }
        if self.topology.dead_letter_routing_key.is_some()
            && self.topology.dead_letter_exchange.is_none()
            && self.topology.argument("x-dead-letter-exchange").is_none()
        {
            return Err(Error::config(
                "option 'dead_letter_routing_key' needs 'dead_letter_exchange'; '' is the default exchange, which routes by queue name",
            ));
        }
        let mut bindings = self.topology.bindings.iter().flatten();
        if self.exchange.is_none() && bindings.any(|binding| binding.exchange.is_none()) {
            return Err(Error::config(
                "option 'bindings': each binding needs an exchange, its own or the option 'exchange'",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "declaring_tests.rs"]
mod tests;
