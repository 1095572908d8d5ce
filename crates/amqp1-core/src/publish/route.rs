//! The route of one job: the link, the address, how a delay is requested.

use std::time::Duration;

use crate::base::wait::Wait;
use crate::brokers::seams::detour::Detour;
use crate::brokers::Recipient;
use crate::connection::{Ask, SenderLink};
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::reach::connected::Connected;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::reach::pool::Role;

/// The route of one job.
#[derive(Debug)]
pub(crate) struct Route {
    pub sender: SenderLink,
    /// The address in the message, for an anonymous sender.
    pub to: Option<String>,
    pub delay_mark: DelayMark,
    /// A TTL in the header would expire before the job is in its queue. The consumer checks
    /// absolute-expiry-time instead.
    pub ttl_is_lost: bool,
    pub taker: Taker,
}

/// The kind of node that the job is sent to, which determines the meaning of the broker's outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// A queue by its name: `released` means that it does not exist.
    Queue,
    /// The same, but `accepted` does not mean that it exists.
    UnsureQueue,
    /// An exchange: `released` means that no queue is bound.
    Exchange,
    /// The address of a requester, which may be gone.
    Requester,
    /// An exchange that delays jobs, and answers `released` to accepted ones.
    DelayingExchange,
}

impl Taker {
    fn of(recipient: &Recipient<'_>, connected: &Connected) -> Self {
        match recipient.exchange {
            Some(_) => Taker::Exchange,
            None if connected.dialect.confirms_what_it_loses() => Taker::UnsureQueue,
            None => Taker::Queue,
        }
    }

    /// Whether this is a queue by its name, which the client may declare.
    pub fn is_queue(self) -> bool {
        matches!(self, Taker::Queue | Taker::UnsureQueue)
    }
}

/// Finds the route of a job for `destination`. A message with a `to` of its own cannot carry the
/// address for an anonymous sender, so it gets a link of its own.
///
/// # Errors
/// Those of connecting, declaring and attaching; Unsupported for a delay that the broker does not
/// keep.
pub(crate) fn find(
    definition: &Definition,
    target: (&Destination, bool),
    delay: Duration,
    wait: &Wait<'_>,
) -> Result<Route> {
    let used = [Role::Publish, definition.management_role()];
    let used = &used[..if definition.options.declare { 2 } else { 1 }];
    definition.surviving(used, wait, || try_find(definition, target, delay, wait))
}

fn try_find(
    definition: &Definition,
    (destination, has_own_to): (&Destination, bool),
    delay: Duration,
    wait: &Wait<'_>,
) -> Result<Route> {
    if let Destination::ReplyTo(reply_to) = destination {
        return reply(definition, reply_to, has_own_to, wait);
    }
    let (connected, usual) = definition.usual(wait)?;
    let recipient = definition.recipient(destination);
    let way = Way {
        definition,
        connected: &connected,
        recipient,
        has_own_to,
        usual: matches!(destination, Destination::Usual).then_some(usual),
    };
    if !delay.is_zero() {
        return way.delayed(delay, wait);
    }
    if let Destination::Queue(queue) = destination {
        definition.declare_beside(queue, wait)?;
    }
    way.direct(DelayMark::None, wait)
}

/// The route of a reply. It needs no link to the queue of its request, and nothing is declared.
fn reply(
    definition: &Definition,
    reply_to: &str,
    has_own_to: bool,
    wait: &Wait<'_>,
) -> Result<Route> {
    let connected = definition.connect(Role::Publish, wait)?;
    let address = connected.dialect.reply_address(reply_to);
    connected.authorize(definition, &address, wait)?;
    let way = Way {
        definition,
        connected: &connected,
        recipient: Recipient::queue(reply_to),
        has_own_to,
        usual: None,
    };
    // A temporary queue need not say that it is a queue.
    let ask = match connected.dialect.asks() {
        Ask::Nothing => Ask::Nothing,
        Ask::Queue | Ask::ConfirmedQueue => Ask::Queue,
    };
    let (sender, to) = way.linked(address, ask, wait)?;
    Ok(Route {
        sender,
        to,
        delay_mark: DelayMark::None,
        ttl_is_lost: false,
        taker: Taker::Requester,
    })
}

/// The ingredients of a route.
struct Way<'a> {
    definition: &'a Definition,
    connected: &'a Connected,
    recipient: Recipient<'a>,
    has_own_to: bool,
    /// Its sender, if this is the usual destination.
    usual: Option<SenderLink>,
}

impl Way<'_> {
    /// The route directly to the destination.
    fn direct(self, delay_mark: DelayMark, wait: &Wait<'_>) -> Result<Route> {
        let taker = Taker::of(&self.recipient, self.connected);
        let (sender, to) = match self.usual {
            Some(sender) => (sender, None),
            None => {
                let address = self.connected.dialect.address(&self.recipient)?;
                self.connected.authorize(self.definition, &address, wait)?;
                self.addressed(address, wait)?
            }
        };
        Ok(Route {
            sender,
            to,
            delay_mark,
            ttl_is_lost: false,
            taker,
        })
    }

    /// Uses the anonymous terminus if the broker has one: the number of routing keys is unlimited,
    /// the number of links is not.
    fn addressed(&self, address: String, wait: &Wait<'_>) -> Result<(SenderLink, Option<String>)> {
        let connected = self.connected;
        connected.confirm(self.definition, &address, wait)?;
        self.linked(address, connected.dialect.asks(), wait)
    }

    fn linked(
        &self,
        address: String,
        ask: Ask,
        wait: &Wait<'_>,
    ) -> Result<(SenderLink, Option<String>)> {
        let connected = self.connected;
        let relay = !self.has_own_to
            && connected.dialect.relays()
            && connected.connection.remote().offers("ANONYMOUS-RELAY");
        let target = (!relay).then_some(address.as_str());
        let sender = self.definition.sender(connected, (target, ask), wait)?;
        Ok((sender, relay.then_some(address)))
    }

    fn delayed(self, delay: Duration, wait: &Wait<'_>) -> Result<Route> {
        let (definition, connected) = (self.definition, self.connected);
        let detour = match &connected.companion {
            Some(companion) => {
                companion.detour(&definition.subject(), &self.recipient, delay, wait)?
            }
            None => None,
        };
        let usual = || connected.dialect.delay_mark().map(Detour::Marked);
        match detour.or_else(usual) {
            None => Err(Error::unsupported(format!(
                "{}: this broker cannot delay jobs; push without 'delay' and set 'backoff' to 0",
                definition.describe()
            ))),
            Some(Detour::Marked(DelayMark::XDelay)) => Ok(Route {
                taker: Taker::DelayingExchange,
                ..self.direct(DelayMark::XDelay, wait)?
            }),
            Some(Detour::Marked(mark)) => Ok(Route {
                // The broker counts the TTL from the sending, so it would expire before the delay
                // ends.
                ttl_is_lost: mark == DelayMark::DeliveryDelay,
                ..self.direct(mark, wait)?
            }),
            Some(Detour::Through(address)) => {
                let (sender, to) = self.addressed(address, wait)?;
                Ok(Route {
                    sender,
                    to,
                    delay_mark: DelayMark::None,
                    ttl_is_lost: true,
                    taker: Taker::Queue,
                })
            }
        }
    }
}
