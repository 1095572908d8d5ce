//! Where and how one job is sent: the link, the address, the mark of a delay.

use std::time::Duration;

use crate::base::wait::Wait;
use crate::brokers::seams::detour::Detour;
use crate::brokers::Recipient;
use crate::connection::SenderLink;
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::reach::connected::Connected;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::reach::pool::Role;

/// Where and how one job is sent.
#[derive(Debug)]
pub(crate) struct Route {
    pub sender: SenderLink,
    /// Per-message address over an anonymous sender.
    pub to: Option<String>,
    pub delay_mark: DelayMark,
    /// A TTL in the header would be over before the job is in its queue: the
    /// consumer looks at absolute-expiry-time instead.
    pub ttl_is_lost: bool,
    pub taker: Taker,
}

/// What the job is sent to, and so what the broker's outcomes say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// A queue by its name: `released` says that it is gone.
    Queue,
    /// The same, and `accepted` does not say that it exists.
    UnsureQueue,
    /// An exchange: `released` says that it leads nowhere.
    Exchange,
    /// An exchange that delays, and says by `released` that it has taken the job.
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

    /// A queue by its name, ours to declare.
    pub fn is_queue(self) -> bool {
        matches!(self, Taker::Queue | Taker::UnsureQueue)
    }
}

/// Where and how a job for `destination` is sent.
///
/// # Errors
/// Those of dialling, declaring and attaching; Unsupported for a delay that the broker does not keep.
pub(crate) fn find(
    definition: &Definition,
    destination: &Destination,
    delay: Duration,
    wait: &Wait<'_>,
) -> Result<Route> {
    let used = [Role::Publish, definition.management_role()];
    let used = &used[..if definition.options.declare { 2 } else { 1 }];
    definition.surviving(used, wait, || {
        try_find(definition, destination, delay, wait)
    })
}

fn try_find(
    definition: &Definition,
    destination: &Destination,
    delay: Duration,
    wait: &Wait<'_>,
) -> Result<Route> {
    let (connected, usual) = definition.usual(wait)?;
    let recipient = definition.recipient(destination);
    let way = Way {
        definition,
        connected: &connected,
        recipient,
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

/// What a route is made of.
struct Way<'a> {
    definition: &'a Definition,
    connected: &'a Connected,
    recipient: Recipient<'a>,
    /// The sender to it, where it is the usual destination.
    usual: Option<SenderLink>,
}

impl Way<'_> {
    /// To where the job goes.
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

    /// Over the anonymous terminus where the broker has one: routing keys may
    /// be as many as jobs, links may not.
    fn addressed(&self, address: String, wait: &Wait<'_>) -> Result<(SenderLink, Option<String>)> {
        let connected = self.connected;
        connected.confirm(self.definition, &address, wait)?;
        let relay =
            connected.dialect.relays() && connected.connection.remote().offers("ANONYMOUS-RELAY");
        let target = (!relay).then_some(address.as_str());
        let sender = self.definition.sender(connected, target, wait)?;
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
                // There it counts from the sending, and would be over before the delay.
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
