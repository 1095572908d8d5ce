//! Declares queues, exchanges and bindings through the management node.

use super::difference::{differences, Wanted, UNLIMITED};
use crate::base::wait::Wait;
use crate::brokers::rabbitmq::address::segment;
use crate::brokers::rabbitmq::management::{Management, Response};
use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::settings::options::QueueOptions;
use crate::settings::topology_options::{Binding, QueueType};
use crate::wire::write;

/// How strict a declaration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Before the first use: existing entities are used as they are.
    UseWhatExists,
    /// `setup()`: any difference is an error.
    ReportDifferences,
}

/// The entities in one queue's configuration.
#[derive(Debug)]
pub(crate) struct Topology<'a> {
    pub queue: &'a str,
    pub options: &'a QueueOptions,
    /// The exchange's binding key.
    pub routing_key: &'a str,
}

/// Arguments of a queue or a binding, by name.
type Arguments = Vec<(String, Input)>;

/// The exchange type of RabbitMQ's delayed-message plugin.
pub(crate) const DELAYED_EXCHANGE: &str = "x-delayed-message";

impl Topology<'_> {
    /// Declares missing entities.
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
        if let Some(exchange) = self.options.exchange.as_deref() {
            if !exchange.starts_with("amq.") {
                self.declare_exchange(management, exchange, strictness, wait)?;
            }
        }
        for binding in self.bindings() {
            self.bind(management, &binding, wait)?;
        }
        Ok(())
    }

    /// The configured bindings, or the default one.
    fn bindings(&self) -> Vec<Binding> {
        let usual = || {
            self.options.exchange.as_ref().map(|_| Binding {
                exchange: None,
                routing_key: self.routing_key.to_owned(),
                arguments: Vec::new(),
            })
        };
        let configured = self.options.topology.bindings.clone();
        configured.unwrap_or_else(|| usual().into_iter().collect())
    }

    fn declare_queue(
        &self,
        management: &Management,
        strictness: Strictness,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let path = queue_path(self.queue);
        let existing = management.request("GET", &path, write::null, wait)?;
        let exists = existing.status == 200;
        if exists && strictness == Strictness::UseWhatExists {
            return Ok(());
        }
        let (asked, implied) = self.arguments();
        if exists {
            self.compare(&existing, &asked)?;
        }
        let arguments: Vec<_> = asked.iter().chain(&implied).cloned().collect();
        let answer = put_queue(management, self.queue, self.options, &arguments, wait)?;
        match answer.status {
            200 | 201 => Ok(()),
            // One status for three cases: another client has just created the queue, it differs in
            // a property that GET does not return, or this type of queue does not support an
            // argument.
            409 => {
                let existing = management.request("GET", &path, write::null, wait)?;
                if existing.status != 200 {
                    return Err(self.refused_queue(&answer.reason()));
                }
                if strictness == Strictness::UseWhatExists {
                    return Ok(());
                }
                self.compare(&existing, &asked)?;
                Err(self.differs(&answer.reason()))
            }
            status => Err(refused("queue", self.queue, status, &answer)),
        }
    }

    fn compare(&self, existing: &Response, asked: &[(String, Input)]) -> Result<()> {
        let options = self.options;
        let wanted = Wanted {
            durable: options.durable,
            exclusive: options.exclusive,
            queue_type: options.queue_type().as_str(),
            asked,
        };
        let found = differences(existing, &wanted);
        match found.is_empty() {
            true => Ok(()),
            false => Err(self.differs(&found.join("; "))),
        }
    }

    fn differs(&self, how: &str) -> Error {
        Error::config(format!(
            "queue '{}' already exists and differs from the configuration: {how}; delete it, or change the options",
            self.queue
        ))
    }

    fn refused_queue(&self, reason: &str) -> Error {
        Error::config(format!(
            "queue '{}' could not be declared, the broker refused: {reason}; change the options",
            self.queue
        ))
    }

    /// The queue's arguments: the requested ones, and the defaults.
    fn arguments(&self) -> (Arguments, Arguments) {
        let asked = self.options.topology.asked();
        let mut implied = Vec::new();
        let mut imply = |name: &str, value: Input| {
            if !asked.iter().any(|(known, _)| known == name) {
                implied.push((name.to_owned(), value));
            }
        };
        let queue_type = self.options.queue_type();
        imply("x-queue-type", Input::Text(queue_type.as_str().to_owned()));
        if queue_type == QueueType::Quorum {
            imply(UNLIMITED.0, UNLIMITED.1);
        }
        (asked, implied)
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
                "exchange '{exchange}' already exists and differs from type '{kind}': {}; delete it, or change the options",
                answer.reason()
            ))),
            400 if kind == DELAYED_EXCHANGE => Err(Error::unsupported(format!(
                "exchange '{exchange}': the broker refused type '{kind}': {}; enable the plugin rabbitmq_delayed_message_exchange, or remove the option 'exchange_type': delays work without it",
                answer.reason()
            ))),
            status => Err(refused("exchange", exchange, status, &answer)),
        }
    }

    fn bind(&self, management: &Management, binding: &Binding, wait: &Wait<'_>) -> Result<()> {
        let usual = self.options.exchange.as_deref();
        let exchange = binding.exchange.as_deref().or(usual).unwrap_or_default();
        let body = |out: &mut Vec<u8>| {
            write::map(out, |out| {
                write::string(out, "source");
                write::string(out, exchange);
                write::string(out, "destination_queue");
                write::string(out, self.queue);
                write::string(out, "binding_key");
                write::string(out, &binding.routing_key);
                write::string(out, "arguments");
                write_map(out, &binding.arguments);
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

/// Whether `queue` is bound to the exchange with exactly this key.
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
    Ok(answer.status == 200 && !answer.list().is_empty())
}

/// The path `/queues/{name}` of the management node.
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
    let body = |out: &mut Vec<u8>| write_queue(out, options, arguments);
    management.request("PUT", &queue_path(queue), body, wait)
}

pub(super) fn write_queue(
    out: &mut Vec<u8>,
    options: &QueueOptions,
    arguments: &[(String, Input)],
) {
    write::map(out, |out| {
        write::string(out, "durable");
        write::bool(out, options.durable);
        write::string(out, "exclusive");
        write::bool(out, options.exclusive);
        write::string(out, "auto_delete");
        write::bool(out, false);
        write::string(out, "arguments");
        write_map(out, arguments);
        8
    });
}

/// Writes a configuration value as an AMQP value.
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
        Input::Map(entries) => write_map(out, entries),
    }
}

pub(super) fn write_map(out: &mut Vec<u8>, entries: &[(String, Input)]) {
    write::map(out, |out| {
        for (name, value) in entries {
            write::string(out, name);
            write_input(out, value);
        }
        entries.len() as u32 * 2
    });
}

pub(super) fn refused(what: &str, name: &str, status: u16, answer: &Response) -> Error {
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
