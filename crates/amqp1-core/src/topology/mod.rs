//! Declaring queues, exchanges and bindings through the management node.

use crate::address::segment;
use crate::delay::DelayQueue;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::management::{Management, Response};
use crate::options::{QueueOptions, QueueType};
use crate::wait::Wait;
use crate::wire::write;

/// How strict a declaration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Before the first use: what exists is used as it is.
    UseWhatExists,
    /// `setup()`: a difference is an error.
    ReportDifferences,
}

/// What one queue's configuration names.
#[derive(Debug)]
pub(crate) struct Topology<'a> {
    pub queue: &'a str,
    pub options: &'a QueueOptions,
    /// Binding key of the exchange.
    pub routing_key: &'a str,
}

/// The exchange type of RabbitMQ's delayed-message plugin.
pub(crate) const DELAYED_EXCHANGE: &str = "x-delayed-message";

impl Topology<'_> {
    /// Declares what is missing.
    ///
    /// # Errors
    /// Config for a difference or a refused argument, Unsupported for a missing plugin.
    pub fn declare(
        &self,
        management: &Management,
        strictness: Strictness,
        wait: &Wait<'_>,
    ) -> Result<()> {
        self.declare_queue(management, strictness, wait)?;
        let Some(exchange) = self.options.exchange.as_deref() else {
            return Ok(());
        };
        if !exchange.starts_with("amq.") {
            self.declare_exchange(management, exchange, strictness, wait)?;
        }
        self.bind(management, exchange, wait)
    }

    fn declare_queue(
        &self,
        management: &Management,
        strictness: Strictness,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let path = queue_path(self.queue);
        let existing = management.request("GET", &path, write::null, wait)?;
        if existing.status == 200 && strictness == Strictness::UseWhatExists {
            return Ok(());
        }
        let answer = put_queue(
            management,
            self.queue,
            self.options,
            &self.arguments(),
            wait,
        )?;
        match answer.status {
            200 | 201 => Ok(()),
            409 if strictness == Strictness::UseWhatExists => Ok(()),
            409 => Err(Error::config(format!(
                "queue '{}' exists and differs from the configuration (it is of type {}): {}; delete it or change the options",
                self.queue,
                existing.text("type").as_deref().unwrap_or("unknown"),
                answer.reason()
            ))),
            status => Err(refused("queue", self.queue, status, &answer)),
        }
    }

    fn arguments(&self) -> Vec<(String, Input)> {
        let mut arguments = self.options.arguments.clone();
        let mut add = |name: &str, value: Input| {
            if !arguments.iter().any(|(known, _)| known == name) {
                arguments.push((name.to_owned(), value));
            }
        };
        // RabbitMQ does not let quorum queues be exclusive or transient.
        let classic = self.options.exclusive || !self.options.durable;
        let queue_type = match self.options.queue_type {
            QueueType::Quorum if classic => QueueType::Classic,
            chosen => chosen,
        };
        add("x-queue-type", Input::Text(queue_type.as_str().to_owned()));
        if queue_type == QueueType::Quorum {
            // RabbitMQ drops a message at its 20th failed delivery unless told
            // otherwise: how often a job is tried is ours to decide.
            add("x-delivery-limit", Input::Int(-1));
        }
        arguments
    }

    fn declare_exchange(
        &self,
        management: &Management,
        exchange: &str,
        strictness: Strictness,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let kind = self.options.exchange_type.as_str();
        let path = format!("/exchanges/{}", segment(exchange));
        let body = |out: &mut Vec<u8>| {
            write::map(out, |out| {
                write::string(out, "type");
                write::string(out, kind);
                write::string(out, "durable");
                write::bool(out, true);
                write::string(out, "arguments");
                let delayed = kind == DELAYED_EXCHANGE;
                write::map(out, |out| {
                    if delayed {
                        write::string(out, "x-delayed-type");
                        write::string(out, "direct");
                    }
                    u32::from(delayed) * 2
                });
                6
            });
        };
        let answer = management.request("PUT", &path, body, wait)?;
        match answer.status {
            200 | 201 | 204 => Ok(()),
            409 if strictness == Strictness::UseWhatExists => Ok(()),
            409 => Err(Error::config(format!(
                "exchange '{exchange}' exists and differs from type '{kind}': {}; delete it or change the options",
                answer.reason()
            ))),
            400 if kind == DELAYED_EXCHANGE => Err(Error::unsupported(format!(
                "exchange '{exchange}': the broker refused type '{kind}': {}; enable the plugin rabbitmq_delayed_message_exchange, or leave exchange_type out: delays work without it",
                answer.reason()
            ))),
            status => Err(refused("exchange", exchange, status, &answer)),
        }
    }

    fn bind(&self, management: &Management, exchange: &str, wait: &Wait<'_>) -> Result<()> {
        let body = |out: &mut Vec<u8>| {
            write::map(out, |out| {
                write::string(out, "source");
                write::string(out, exchange);
                write::string(out, "destination_queue");
                write::string(out, self.queue);
                write::string(out, "binding_key");
                write::string(out, self.routing_key);
                write::string(out, "arguments");
                write::map(out, |_| 0);
                8
            });
        };
        let answer = management.request("POST", "/bindings", body, wait)?;
        match answer.status {
            200 | 201 | 204 => Ok(()),
            status => Err(refused("binding to exchange", exchange, status, &answer)),
        }
    }
}

/// True when `queue` is bound to the exchange with this very key.
pub(crate) fn is_bound(
    management: &Management,
    exchange: &str,
    queue: &str,
    key: &str,
    wait: &Wait<'_>,
) -> Result<bool> {
    let path = format!(
        "/bindings?src={}&dstq={}&key={}",
        segment(exchange),
        segment(queue),
        segment(key)
    );
    let answer = management.request("GET", &path, write::null, wait)?;
    Ok(answer.status == 200 && answer.list_len() > 0)
}

/// Declares a delay queue before a target.
///
/// At-least-once dead-lettering: a message leaves the delay queue only when the
/// target has confirmed it.
pub(crate) fn declare_delay_queue(
    management: &Management,
    queue: &DelayQueue,
    (exchange, routing_key): (&str, &str),
    wait: &Wait<'_>,
) -> Result<()> {
    let text = |text: &str| Input::Text(text.to_owned());
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text(exchange)),
        ("x-dead-letter-routing-key", text(routing_key)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", Input::Int(queue.ttl as i64)),
        ("x-expires", Input::Int(queue.expires as i64)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let options = QueueOptions::default();
    let answer = put_queue(management, &queue.name, &options, &arguments, wait)?;
    match answer.status {
        200 | 201 => Ok(()),
        status => Err(refused("delay queue", &queue.name, status, &answer)),
    }
}

/// `/queues/{name}` of the management node.
pub(crate) fn queue_path(queue: &str) -> String {
    format!("/queues/{}", segment(queue))
}

fn put_queue(
    management: &Management,
    queue: &str,
    options: &QueueOptions,
    arguments: &[(String, Input)],
    wait: &Wait<'_>,
) -> Result<Response> {
    let body = |out: &mut Vec<u8>| {
        write::map(out, |out| {
            write::string(out, "durable");
            write::bool(out, options.durable);
            write::string(out, "exclusive");
            write::bool(out, options.exclusive);
            write::string(out, "auto_delete");
            write::bool(out, false);
            write::string(out, "arguments");
            write::map(out, |out| {
                for (name, value) in arguments {
                    write::string(out, name);
                    write_input(out, value);
                }
                arguments.len() as u32 * 2
            });
            8
        });
    };
    management.request("PUT", &queue_path(queue), body, wait)
}

/// A configuration value as AMQP.
fn write_input(out: &mut Vec<u8>, value: &Input) {
    match value {
        Input::Null => write::null(out),
        Input::Bool(value) => write::bool(out, *value),
        Input::Int(value) => write::long(out, *value),
        Input::Float(value) => write::double(out, *value),
        Input::Text(value) => write::string(out, value),
        Input::List(items) => write::list(out, |out| {
            items.iter().for_each(|item| write_input(out, item));
            items.len() as u32
        }),
        Input::Map(entries) => write::map(out, |out| {
            for (name, value) in entries {
                write::string(out, name);
                write_input(out, value);
            }
            entries.len() as u32 * 2
        }),
    }
}

fn refused(what: &str, name: &str, status: u16, answer: &Response) -> Error {
    let message = format!(
        "{what} '{name}' could not be declared (status {status}): {}",
        answer.reason()
    );
    match status {
        401 | 403 => Error::authentication(message),
        404 => Error::queue_not_found(message),
        _ => Error::config(message),
    }
}

#[cfg(test)]
mod tests;
