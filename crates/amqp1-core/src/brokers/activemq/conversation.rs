//! Requests to one of the broker's own nodes, with answers through a temporary queue.
//!
//! Each conversation opens and closes its own links. The extra round trips are acceptable, because
//! such requests are rare.

use bytes::Bytes;

use crate::base::wait::{Signal, Wait};
use crate::connection::{Connection, Node, RequestLinks};
use crate::error::{Error, Result};
use crate::wire::message::{section, Message};
use crate::wire::write;

#[derive(Debug)]
pub(super) struct Conversation {
    pair: RequestLinks,
    signal: Signal,
    reply_to: String,
    label: String,
    node: String,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.pair.close();
    }
}

impl Conversation {
    /// Opens links to `node`, or to the address in each message.
    ///
    /// # Errors
    /// The broker's refusal; Timeout.
    pub fn open(connection: &Connection, node: Option<&str>, wait: &Wait<'_>) -> Result<Self> {
        let signal = Signal::new();
        let ends = Node::WithDynamicReplies(node);
        let pair = RequestLinks::open(connection, &ends, signal.clone())?;
        let mut conversation = Self {
            pair,
            signal,
            reply_to: String::new(),
            label: connection.label().to_owned(),
            node: node.unwrap_or("the temporary queue").to_owned(),
        };
        let address = wait.until(&conversation.signal, || {
            conversation.pair.failed().map_or(Ok(()), Err)?;
            conversation.pair.reply_address()
        })?;
        conversation.reply_to = address.ok_or_else(|| conversation.unanswered())?;
        Ok(conversation)
    }

    /// The address for answers.
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    /// Sends a request with one AMQP value. `properties` writes application properties and returns
    /// the count of keys and values.
    pub fn send(
        &self,
        properties: impl FnOnce(&mut Vec<u8>) -> u32,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let mut out = Vec::with_capacity(256);
        // Not durable: no one else reads it.
        write::descriptor(&mut out, section::HEADER);
        write::list(&mut out, |out| {
            write::bool(out, false);
            write::null(out);
            write::uint(out, 5_000);
            3
        });
        write::descriptor(&mut out, section::PROPERTIES);
        write::list(&mut out, |out| {
            for _ in 0..4 {
                write::null(out);
            }
            write::string(out, &self.reply_to);
            5
        });
        write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
        write::map(&mut out, properties);
        write::descriptor(&mut out, section::VALUE);
        body(&mut out);
        self.send_message(Bytes::from(out))
    }

    /// Sends a whole message.
    pub fn send_message(&self, message: Bytes) -> Result<()> {
        self.pair.send(message)
    }

    /// The next answer; `None` if none arrives in time.
    ///
    /// # Errors
    /// The error that ended the links.
    pub fn next(&self, wait: &Wait<'_>) -> Result<Option<Message>> {
        let payload = wait.until(&self.signal, || {
            self.pair.failed().map_or(Ok(()), Err)?;
            self.pair.take()
        })?;
        match payload.map(Message::parse).transpose() {
            Ok(message) => Ok(message),
            Err(error) => Err(Error::serialization(format!(
                "{}: cannot read the answer of '{}': {error}",
                self.label, self.node
            ))),
        }
    }

    pub fn unanswered(&self) -> Error {
        Error::timeout(format!(
            "{}: '{}' did not answer in time",
            self.label, self.node
        ))
    }
}
