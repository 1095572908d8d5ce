//! One address for replies, and the requests that wait there.
//!
//! An inbox lives as long as its link, because the broker removes the address with it: then all
//! its requests fail at once. Only a session of a named queue outlives its link, and is requested
//! again.
//!
//! A broker may drop replies for which there is no credit (RabbitMQ's direct reply-to), so there is
//! more credit than requests may wait, also right before it is renewed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::base::counters::REQUESTS;
use crate::base::fork;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::brokers::seams::companion::holding::HandedOut;
use crate::brokers::Replies;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Decoded};
use crate::reach::definition::Definition;
use crate::reach::pool::Role;
use crate::receive::attachment::prefetch::Prefetch;
use crate::receive::attachment::Attachment;
use crate::receive::replies::reply::Reply;
use crate::settings::options::{ConsumerOptions, QueueOptions, SessionOption};
use crate::settings::spec::Spec;

/// The most requests that wait at once.
pub(crate) const MOST: usize = 500;

/// Renewed when half of it is used up.
const CREDIT: u32 = 2 * MOST as u32 + 100;

/// The name of the queue of replies, in figures and messages.
const NAME: &str = "(replies)";

/// A request's place.
#[derive(Debug)]
enum Place {
    Waiting,
    /// Kept until the request is dropped, so that it can be asked for again.
    Arrived(Rc<Reply>),
}

#[derive(Debug)]
pub(crate) struct Inbox {
    attachment: Attachment,
    signal: Signal,
    /// reply-to
    pub address: String,
    /// reply-to-group-id
    pub session: Option<String>,
    places: RefCell<HashMap<String, Place>>,
    /// How many of them wait.
    waiting: Cell<usize>,
    /// Why it has ended.
    ended: RefCell<Option<Error>>,
    generation: u64,
}

impl Inbox {
    /// Opens an inbox at the queue's broker; on a broker that makes no addresses, a session of its
    /// own in the queue `reply_to`.
    ///
    /// # Errors
    /// Unsupported if the broker requires a queue and none is named, or the other way round; those
    /// of connecting and attaching.
    pub fn open(definition: &Definition, reply_to: Option<&str>, wait: &Wait<'_>) -> Result<Self> {
        let connected = definition.surviving(&[Role::Consume], wait, || {
            definition.connect(Role::Consume, wait)
        })?;
        let replies = connected.dialect.replies(connected.connection.remote());
        let own = format!("amqp1.replies.{}", id::job_id()?);
        let prefetch = Prefetch::Set(CREDIT);
        let (attachment, session) = match (replies, reply_to) {
            (Replies::Session, Some(queue)) => {
                let options = ConsumerOptions {
                    session: Some(SessionOption::Id(own.clone())),
                    ..ConsumerOptions::default()
                };
                let queue = place(definition, queue, false);
                (Attachment::new(queue, &options, prefetch), Some(own))
            }
            (Replies::Session, None) => {
                return Err(Error::unsupported(format!(
                    "{}: this broker makes no addresses for replies; create a queue with sessions for replies, and name it in the option 'reply_to'",
                    definition.describe()
                )));
            }
            (Replies::None(advice), _) => {
                return Err(Error::unsupported(format!(
                    "{}: requests are not supported: {advice}",
                    definition.describe()
                )));
            }
            (_, Some(_)) => {
                return Err(Error::unsupported(format!(
                    "{}: option 'reply_to': this broker makes an address for the replies of each process, and a queue that several processes read would mix them up; remove the option",
                    definition.describe()
                )));
            }
            (Replies::Dynamic(_), None) => {
                let queue = place(definition, NAME, false);
                (Attachment::for_replies(queue, prefetch, replies), None)
            }
            (Replies::Exclusive, None) => {
                let queue = place(definition, &own, true);
                queue.declared(Role::Consume, wait)?;
                (Attachment::for_replies(queue, prefetch, replies), None)
            }
        };
        let mut inbox = Self {
            attachment,
            signal: Signal::new(),
            address: String::new(),
            session,
            places: RefCell::default(),
            waiting: Cell::new(0),
            ended: RefCell::new(None),
            generation: fork::generation(),
        };
        inbox.attach(wait)?;
        let link = inbox.attachment.link().ok_or_else(|| inbox.gone())?;
        inbox.address.clone_from(&link.address);
        Ok(inbox)
    }

    /// Attaches unless it is attached, and waits for its session.
    fn attach(&self, wait: &Wait<'_>) -> Result<()> {
        if self.attachment.link().is_some() {
            return self.attachment.run_errands(wait);
        }
        self.attachment.begin(false);
        loop {
            self.attachment.attach(&self.signal, wait)?;
            let asked = wait.until(&self.signal, || {
                self.take_all()?;
                let is_answered =
                    self.attachment.link().is_some() || !self.attachment.is_attached();
                Ok(is_answered.then_some(()))
            })?;
            if self.attachment.link().is_some() {
                return Ok(());
            }
            if asked.is_none() {
                return Err(Error::timeout(format!(
                    "{}: the broker did not grant the session for replies in time",
                    self.attachment.definition.describe()
                )));
            }
        }
    }

    /// Whether requests can still be answered here. Sorts what has arrived.
    pub fn is_open(&self) -> bool {
        self.generation == fork::generation() && self.take_all().is_ok()
    }

    /// Reserves a place for the reply to the request with this id.
    ///
    /// # Errors
    /// Config if there is a request with this id, or if there are too many.
    pub fn expect(&self, id: &str) -> Result<()> {
        let mut places = self.places.borrow_mut();
        if places.contains_key(id) {
            return Err(Error::config(format!(
                "option 'id': there is another request with the id '{id}'; use another id, or none"
            )));
        }
        if self.waiting.get() >= MOST {
            return Err(Error::config(format!(
                "{MOST} requests of this process wait for replies from {}: get some of them first",
                self.attachment.definition.endpoint.label()
            )));
        }
        places.insert(id.to_owned(), Place::Waiting);
        self.waiting.set(self.waiting.get() + 1);
        Ok(())
    }

    /// Gives up a request's place. A reply that comes later is dropped.
    pub fn forget(&self, id: &str) {
        if let Some(Place::Waiting) = self.places.borrow_mut().remove(id) {
            self.waiting.set(self.waiting.get() - 1);
        }
    }

    /// The reply to a request, if it has arrived.
    ///
    /// # Errors
    /// Connection if it can arrive no more.
    pub fn look(&self, id: &str) -> Result<Option<Rc<Reply>>> {
        self.check_process()?;
        let taken = self.take_all();
        match self.places.borrow().get(id) {
            Some(Place::Arrived(reply)) => Ok(Some(Rc::clone(reply))),
            _ => taken.map(|()| None),
        }
    }

    /// Waits for the reply to a request; `None` if it does not arrive in time.
    ///
    /// # Errors
    /// As [`Inbox::look`]; Interrupted.
    pub fn wait_for(&self, id: &str, wait: &Wait<'_>) -> Result<Option<Rc<Reply>>> {
        enum Woken {
            Reply(Rc<Reply>),
            Detached,
        }
        loop {
            let errand = self.attachment.next_errand();
            let slice = match errand {
                Some(at) => wait.at_most(at.saturating_duration_since(Instant::now())),
                None => *wait,
            };
            let woken = slice.until(&self.signal, || {
                Ok(match self.look(id)? {
                    Some(reply) => Some(Woken::Reply(reply)),
                    None if !self.attachment.is_attached() => Some(Woken::Detached),
                    None => None,
                })
            })?;
            match woken {
                Some(Woken::Reply(reply)) => return Ok(Some(reply)),
                None if wait.left().is_zero() => return Ok(None),
                // A session that was lost, or something to do for the link.
                None | Some(Woken::Detached) => self.attach(wait)?,
            }
        }
    }

    /// Sorts all replies that have arrived.
    ///
    /// # Errors
    /// Connection if the address is gone.
    fn take_all(&self) -> Result<()> {
        if let Some(error) = &*self.ended.borrow() {
            return Err(error.clone());
        }
        loop {
            match self.take() {
                Ok(Some(reply)) => self.sort(reply),
                Ok(None) => return Ok(()),
                // Its session is requested again, and keeps the replies.
                Err(error) if self.session.is_some() && error.kind() == ErrorKind::Connection => {
                    return Ok(());
                }
                Err(error) if self.address.is_empty() => return Err(error),
                Err(error) => {
                    let error = Error::connection(format!(
                        "{}; the address for replies is gone with it, and it is unknown whether the request is answered",
                        error.message()
                    ));
                    *self.ended.borrow_mut() = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Takes the next reply, and settles it.
    fn take(&self) -> Result<Option<Reply>> {
        loop {
            let Some((incoming, link)) = self.attachment.take()? else {
                return Ok(None);
            };
            if !incoming.settled {
                if let Some(holding) = &link.holding {
                    match holding.hand_out(&incoming.tag) {
                        HandedOut::Gone => continue,
                        HandedOut::By(lock) => {
                            lock.iter().for_each(|lock| holding.forget(lock));
                        }
                    }
                }
                // If that is lost, the reply comes again and finds no one who waits.
                let _ = link.accept(incoming.delivery_id);
            }
            self.attachment.definition.counters().received.add(1);
            let bytes = incoming.payload;
            let decoded = format::decode(bytes.clone(), link.dialect.property_mapping());
            let decoded: Decoded = decoded.unwrap_or_else(|_| format::undecoded(bytes));
            return Ok(Some(Reply::new(decoded)));
        }
    }

    /// Keeps a reply for its request. One that no request waits for is dropped, never given to
    /// another.
    fn sort(&self, reply: Reply) {
        let id = reply.request_id().unwrap_or_default();
        let mut places = self.places.borrow_mut();
        let id = std::str::from_utf8(&id).unwrap_or_default();
        match places.get_mut(id) {
            Some(place @ Place::Waiting) => {
                *place = Place::Arrived(Rc::new(reply));
                self.waiting.set(self.waiting.get() - 1);
                REQUESTS.answered.add(1);
            }
            _ => REQUESTS.late.add(1),
        }
    }

    fn check_process(&self) -> Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        Err(Error::connection(
            "the request belongs to the parent process, which gets its reply",
        ))
    }

    fn gone(&self) -> Error {
        Error::connection(format!(
            "{}: the connection was lost",
            self.attachment.definition.describe()
        ))
    }
}

/// A queue for replies, beside the one that requests go to.
fn place(of: &Definition, queue: &str, is_declared: bool) -> Arc<Definition> {
    let options = QueueOptions {
        timeout: of.options.timeout,
        redial_timeout: of.options.redial_timeout,
        max_lock_renewal: of.options.max_lock_renewal,
        observer: of.options.observer,
        logger: of.options.logger,
        declare: is_declared,
        exclusive: is_declared,
        durable: !is_declared,
        ..QueueOptions::default()
    };
    let endpoint = of.endpoint.clone();
    let spec = Spec::new(endpoint, queue.to_owned(), NAME.to_owned(), options);
    Arc::new(Definition::new(spec))
}
