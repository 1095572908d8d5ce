//! Queues of brokers that confirm what they lose (RabbitMQ 3, Artemis): made, and
//! looked for, by attaching.

use std::time::Duration;

use crate::base::wait::Wait;
use crate::connection::Question;
use crate::error::{Error, ErrorKind, Result};
use crate::reach::live::{Definition, Live};
use crate::reach::pool;
use crate::settings::options::QueueOptions;

impl Definition {
    /// Makes the queue if it is missing, once a connection, where attaching does
    /// that. What exists is used as it is.
    ///
    /// # Errors
    /// Unsupported for a missing queue that is to be more than durable.
    pub fn declare_by_attaching(
        &self,
        queue: &str,
        options: &QueueOptions,
        memo: &str,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let role = self.management_role();
        self.retried(role, wait, |live| {
            let Some(address) = live.dialect.declaring_address(queue) else {
                return Ok(());
            };
            let (endpoint, connection) = (&self.endpoint, &live.connection);
            if pool::is_declared(endpoint, role, connection, memo, Duration::MAX) {
                return Ok(());
            }
            live.dialect.check_name(queue)?;
            if let Some(exchange) = &options.exchange {
                return Err(Error::unsupported(format!(
                    "{}: exchange '{exchange}' and its bindings cannot be declared: this broker has no management over AMQP 1.0; declare them by other means and set the option 'declare' to false",
                    self.describe()
                )));
            }
            match options.topology.beyond_classic(options) {
                None => self.make(live, queue, &address, options.durable, wait)?,
                Some(option) => self.demand(live, queue, option, wait)?,
            }
            pool::set_declared(endpoint, role, connection, memo);
            Ok(())
        })
    }

    /// # Errors
    /// QueueNotFound when the queue is not there.
    pub fn look_for(&self, queue: &str, wait: &Wait<'_>) -> Result<()> {
        self.retried(self.management_role(), wait, |live| {
            self.find(live, queue, wait)
        })
    }

    /// Sees that the address is a queue, once a connection, where a sender's attach does
    /// not tell.
    ///
    /// # Errors
    /// Unsupported when it is a topic.
    pub fn confirm_queue(&self, live: &Live, address: &str, wait: &Wait<'_>) -> Result<()> {
        if !live.dialect.confirms_topics() {
            return Ok(());
        }
        let (endpoint, connection) = (&self.endpoint, &live.connection);
        let (role, memo) = (self.management_role(), format!("queue\n\n{address}"));
        if pool::is_declared(endpoint, role, connection, &memo, Duration::MAX) {
            return Ok(());
        }
        match self.ask(live, Question::Source(address), wait) {
            // Who may send and not receive cannot look.
            Err(error) if error.kind() == ErrorKind::Authentication => {}
            Err(error) => return Err(live.dialect.explain(error).context(self.describe())),
            Ok(()) => {}
        }
        pool::set_declared(endpoint, role, connection, &memo);
        Ok(())
    }

    fn make(
        &self,
        live: &Live,
        queue: &str,
        address: &str,
        durable: bool,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let answered = self.ask(live, Question::Target(address, durable), wait);
        match answered {
            Ok(()) => Ok(()),
            Err(error) if error.condition() == Some("amqp:resource-locked") => Ok(()),
            // It exists, and is another one than would have been made.
            Err(error) if error.condition() == Some("amqp:precondition-failed") => {
                if error.message().contains("arg 'auto_delete'") {
                    return Err(Error::unsupported(format!(
                        "queue '{queue}' at {} goes with its last consumer (auto_delete), with the jobs in it: this broker cannot keep a job there; delete it, or use another queue",
                        self.endpoint.label()
                    )));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// It must be there: it cannot be made as `option` wants it.
    fn demand(&self, live: &Live, queue: &str, option: &str, wait: &Wait<'_>) -> Result<()> {
        self.find(live, queue, wait).map_err(|error| match error.kind() {
            ErrorKind::QueueNotFound => Error::unsupported(format!(
                "queue '{queue}' at {} does not exist, and cannot be declared with the option '{option}': this broker declares durable classic queues over AMQP 1.0, and no others; declare it by other means, or leave the option out",
                self.endpoint.label()
            )),
            _ => error,
        })
    }

    /// A receiver that never gets credit: attaching it fails when there is no such queue.
    fn find(&self, live: &Live, queue: &str, wait: &Wait<'_>) -> Result<()> {
        live.dialect.check_name(queue)?;
        let address = live.dialect.queue_address(queue);
        match self.ask(live, Question::Source(&address), wait) {
            Ok(()) => Ok(()),
            // Somebody consumes from it and lets nobody else: so it is there.
            Err(error) if error.message().contains("exclusive") => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, live: &Live, question: Question<'_>, wait: &Wait<'_>) -> Result<()> {
        let (endpoint, role) = (&self.endpoint, self.management_role());
        let scout = pool::scout(endpoint, role, &live.connection)?;
        let answered = scout.ask(question, live.dialect.asks(), wait);
        match &answered {
            Ok(()) => pool::keep_scout(endpoint, role, &live.connection, scout),
            Err(_) => scout.close(),
        }
        answered
    }
}
