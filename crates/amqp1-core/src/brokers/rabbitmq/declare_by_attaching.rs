//! The companion of a connection to RabbitMQ 3, which has no management node and confirms jobs that
//! it loses. It creates and checks queues by attaching.

use std::sync::Arc;
use std::time::Duration;

use super::address_v1;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::subject::Subject;
use crate::brokers::tools::asking::Asking;
use crate::brokers::tools::memo::Memo;
use crate::connection::{Connection, Question};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::options::QueueOptions;

#[derive(Debug)]
pub(super) struct DeclareByAttaching {
    dialect: &'static dyn Dialect,
    asking: Asking,
    /// Queues that are known to exist.
    declared: Memo<String>,
}

impl DeclareByAttaching {
    pub fn over(connection: &Connection, dialect: &'static dyn Dialect) -> Arc<dyn Companion> {
        Arc::new(Self {
            dialect,
            asking: Asking::new(connection, dialect.asks()),
            declared: Memo::default(),
        })
    }

    /// An existing queue is used as it is.
    fn make(&self, queue: &Subject<'_>, durable: bool, wait: &Wait<'_>) -> Result<()> {
        let address = address_v1::declared_queue(queue.queue());
        let answered = self.asking.ask(Question::Target(&address, durable), wait);
        match answered {
            Ok(()) => Ok(()),
            Err(error) if error.is(Condition::RESOURCE_LOCKED) => Ok(()),
            // It exists, with other properties than a new one would have.
            Err(error) if error.is(Condition::PRECONDITION_FAILED) => {
                // Every difference has the same condition; only the text says which one it is.
                if error.message().contains("arg 'auto_delete'") {
                    return Err(Error::unsupported(format!(
                        "{} is deleted with its last consumer (auto_delete), jobs included: this broker cannot keep jobs there; delete the queue, or use another one",
                        queue.describe()
                    )));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Requires the queue to exist, because it cannot be created with `option`.
    fn demand(&self, queue: &Subject<'_>, option: &str, wait: &Wait<'_>) -> Result<()> {
        self.find(queue.queue(), wait).map_err(|error| match error.kind() {
            ErrorKind::QueueNotFound => Error::unsupported(format!(
                "{} does not exist and cannot be declared with the option '{option}': over AMQP 1.0 this broker declares only durable classic queues; declare the queue with the broker's own tools, or remove the option",
                queue.describe()
            )),
            _ => error,
        })
    }
}

impl Companion for DeclareByAttaching {
    fn declare(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        let name = queue.queue();
        // A related queue is declared with this broker's defaults.
        let usual = QueueOptions::default();
        let options = match queue.beside {
            None => &queue.spec.options,
            Some(_) => &usual,
        };
        self.declared.once(name.to_owned(), Duration::MAX, || {
            self.dialect.check_name(name)?;
            if let Some(exchange) = &options.exchange {
                return Err(Error::unsupported(format!(
                    "{}: exchange '{exchange}' and its bindings cannot be declared: this broker has no management over AMQP 1.0; declare them with the broker's own tools and set the option 'declare' to false",
                    queue.describe()
                )));
            }
            match options.beyond_classic() {
                None => self.make(queue, options.durable, wait),
                Some(option) => self.demand(queue, option, wait),
            }
        })
    }

    fn forget_declared(&self) {
        self.declared.forget();
    }

    fn declared_within(&self, age: Duration) -> bool {
        self.declared.has_any_within(age)
    }

    /// A receiver that never gets credit: attaching it fails if there is no such queue.
    fn find(&self, queue: &str, wait: &Wait<'_>) -> Result<()> {
        self.dialect.check_name(queue)?;
        let address = self.dialect.queue_address(queue);
        match self.asking.ask(Question::Source(&address), wait) {
            Ok(()) => Ok(()),
            // Another connection consumes from it exclusively, so it exists. A missing permission has
            // the same condition, even without a queue; only the text distinguishes them.
            Err(error) if error.message().contains("exclusive") => Ok(()),
            Err(error) => Err(error),
        }
    }
}
