//! Attaches links, or refuses them.

use std::collections::VecDeque;

use fe2o3_amqp_types::definitions::{Error, Fields, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::TargetArchetype;
use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::described::Described;
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::link::{OfIncoming, OfLink, OfOutgoing};
use super::trunk::{Context, Fault, Incoming, Kind, Link, Outgoing, Session, Source};
use crate::amqp::credit::ReceiveCredit;
use crate::amqp::errors as breach;
use crate::amqp::ids::LinkId;
use crate::amqp::session::Manners;
use crate::servicebus::address::Address;
use crate::servicebus::facts::{self, condition, link as names};
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::errors;
use crate::servicebus::model::namespace::{Attached, NodeId, Use, Wanted};

impl Session {
    /// Attaches a link. `refused` says why the frame itself rules it out, if it does.
    pub(super) fn on_attach(
        &mut self,
        attach: Attach,
        refused: Option<Error>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let handle = attach.handle.0;
        if handle > facts::HANDLE_MAX {
            return Err(Fault::Connection(errors::error(
                condition::CONNECTION_FRAMING_ERROR,
                format!("handle {handle} is beyond handle-max"),
            )));
        }
        if self.links.contains_key(&handle) {
            return Err(Fault::Session(breach::handle_in_use(handle)));
        }
        let id = context.model.namespace.new_link();
        let address = refused.map_or_else(|| address(&attach), Err);
        let made = match &address {
            Ok(address) => make_unless_faulty(&attach, id, address, context)?,
            Err(e) => Err(e.clone()),
        };
        let (kind, refusal) = match made {
            Ok(kind) => (kind, None),
            Err(error) => (Kind::Detached, Some(error)),
        };
        let is_waiting = matches!(kind, Kind::Waiting(..));
        let link = Link {
            name: attach.name.clone(),
            id,
            kind,
            of: OfLink {
                address: address.unwrap_or(Address::Cbs),
                active_at: context.now,
            },
        };
        self.links.insert(handle, link);
        if let Some(error) = refusal {
            return self.refuse(attach, error, context);
        }
        context.attachments.add(id, (self.channel, handle));
        if is_waiting {
            return Ok(());
        }
        self.accept(attach, None, context)
    }

    /// Answers an attach. `locked_until` is when the lock of the link's session ends.
    fn accept(
        &mut self,
        attach: Attach,
        locked_until: Option<u64>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let handle = attach.handle.0;
        let mut answer = context.shared.settings.answer(attach);
        let link = self.links.get(&handle).map(|link| &link.kind);
        let is_incoming = matches!(link, Some(Kind::Incoming(_)));
        if let Some(Kind::Outgoing(outgoing)) = link {
            if let (Some(session), Some(source)) = (&outgoing.of.session, &mut answer.source) {
                let key = Symbol::from(names::SESSION_FILTER);
                let filter = source.filter.get_or_insert_default();
                let session = in_form(filter.get(&key), session.clone());
                filter.insert(key, session);
            }
        }
        let until = locked_until.or_else(|| self.session_lock(handle, context));
        if let Some(until) = until {
            let properties = answer.properties.get_or_insert_with(Fields::new);
            let key = Symbol::from(names::LOCKED_UNTIL);
            properties.insert(key, Value::Long(facts::ticks(until)));
        }
        context.put(self.channel, &answer)?;
        if is_incoming {
            let flow = self.link_flow(handle, 0);
            context.put(self.channel, &flow)?;
        }
        Ok(())
    }

    /// When the lock of a link's session ends.
    fn session_lock(&self, handle: u32, context: &Context<'_>) -> Option<u64> {
        let Kind::Outgoing(outgoing) = &self.links.get(&handle)?.kind else {
            return None;
        };
        let Source::Queue(node) = outgoing.source else {
            return None;
        };
        let queue = &context.model.namespace.node(node)?.queue;
        let lock = queue.sessions.get(outgoing.of.session.as_deref()?)?.lock?;
        Some(lock.until)
    }

    /// Answers a waiting attach that got its session or has waited for too long.
    pub(super) fn on_session(
        &mut self,
        handle: u32,
        granted: Option<(String, u64)>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some((session, until)) = granted else {
            return Err(Fault::Link(
                handle,
                errors::error(
                    condition::TIMEOUT,
                    "No session was free within the time that was given.",
                ),
            ));
        };
        let Some(mut link) = self.links.remove(&handle) else {
            return Ok(());
        };
        match std::mem::replace(&mut link.kind, Kind::Detached) {
            Kind::Waiting(attach, mut outgoing) => {
                outgoing.of.session = Some(session);
                let credit = outgoing.credit.spare().max(0) as u32;
                context.model.namespace.set_credit(link.id, credit);
                link.kind = Kind::Outgoing(outgoing);
                link.of.active_at = context.now;
                self.links.insert(handle, link);
                self.accept(*attach, Some(until), context)
            }
            other => {
                link.kind = other;
                self.links.insert(handle, link);
                Ok(())
            }
        }
    }
}

/// The address of an attach: a receiver's source, a sender's target.
fn address(attach: &Attach) -> Result<Address, Error> {
    let address = match attach.role {
        Role::Receiver => {
            let source = attach.source.as_deref();
            source.and_then(|source| source.address.as_deref())
        }
        Role::Sender => match attach.target.as_deref() {
            Some(TargetArchetype::Target(target)) => target.address.as_deref(),
            _ => None,
        },
    };
    match address {
        Some(address) if !address.is_empty() => Ok(Address::parse(address)),
        _ => Err(errors::error(
            condition::INVALID_FIELD,
            "the link has no address: a sender needs a target, a receiver a source",
        )),
    }
}

/// Creates the link's end, or says why the attach is refused. An injected fault can cause either
/// error.
fn make_unless_faulty(
    attach: &Attach,
    id: LinkId,
    address: &Address,
    context: &mut Context<'_>,
) -> Result<Result<Kind, Error>, Fault> {
    let mut withheld = None;
    match context.fault(Point::Attach, address) {
        None => {}
        Some(Action::Fail(e) | Action::Detach(e)) => return Ok(Err(e)),
        Some(Action::Withhold(ms)) => withheld = Some(ms),
        Some(action) => {
            if let Ok(fault) = action.into_fault(attach.handle.0) {
                return Err(fault);
            }
        }
    }
    let mut made = make(attach, id, address, context);
    if let (Ok(Kind::Incoming(incoming)), Some(ms)) = (&mut made, withheld) {
        incoming.credit = ReceiveCredit::new(attach, 0);
        incoming.of.withheld_until = context.now.saturating_add(ms);
    }
    Ok(made)
}

fn make(
    attach: &Attach,
    id: LinkId,
    address: &Address,
    context: &mut Context<'_>,
) -> Result<Kind, Error> {
    if let Some(entity) = address.entity() {
        if !context.of.access.reaches(entity) {
            return Err(errors::unauthorized(format!(
                "Unauthorized access. A claim is required to access '{entity}': put a token for it to $cbs first."
            )));
        }
    }
    let node = node(attach, address, context)?;
    if attach.role == Role::Sender {
        return Ok(Kind::Incoming(Incoming {
            credit: ReceiveCredit::new(attach, facts::SENDER_CREDIT),
            partial: None,
            of: OfIncoming {
                node,
                withheld_until: 0,
                is_too_large: false,
            },
        }));
    }
    let reply_to = match attach.target.as_deref() {
        Some(TargetArchetype::Target(target)) => target.address.clone(),
        _ => None,
    };
    let of = OfOutgoing {
        reply_to,
        session: None,
    };
    let (Some(node), Address::Entity(_)) = (node, address) else {
        let replies = Source::Replies(VecDeque::new());
        return Ok(Kind::Outgoing(Outgoing::new(replies, of)));
    };
    let deletes = attach.snd_settle_mode == SenderSettleMode::Settled;
    let wanted = match session_filter(attach) {
        None => Wanted::Messages,
        Some(Some(session)) => Wanted::Session(session),
        Some(None) => Wanted::NextSession(context.now.saturating_add(session_wait(attach))),
    };
    let namespace = &mut context.model.namespace;
    let connection = context.connection;
    let attached = namespace.attach(connection, id, node, deletes, wanted, context.now)?;
    let mut outgoing = Outgoing::new(Source::Queue(node), of);
    Ok(match attached {
        Attached::Now => Kind::Outgoing(outgoing),
        Attached::WithSession(session, _) => {
            outgoing.of.session = Some(session);
            Kind::Outgoing(outgoing)
        }
        Attached::Waits => Kind::Waiting(Box::new(attach.clone()), outgoing),
    })
}

/// The entity that a link needs; `None` for one of the broker's own nodes.
fn node(
    attach: &Attach,
    address: &Address,
    context: &mut Context<'_>,
) -> Result<Option<NodeId>, Error> {
    let (path, wanted) = match address {
        Address::Cbs | Address::Faults => return Ok(None),
        Address::Management(path) => (path, Use::Manage),
        Address::Entity(path) if attach.role == Role::Sender => (path, Use::Send),
        Address::Entity(path) if session_filter(attach).is_some() => (path, Use::ReceiveSession),
        Address::Entity(path) => (path, Use::Receive),
    };
    context.model.namespace.resolve(path, wanted).map(Some)
}

/// The session that a receiver requests; `Some(None)` is the next free one.
fn session_filter(attach: &Attach) -> Option<Option<String>> {
    let filter = attach.source.as_deref()?.filter.as_ref()?;
    let value = filter.get(&Symbol::from(names::SESSION_FILTER))?;
    Some(match undescribed(value) {
        Value::String(id) => Some(id.clone()),
        Value::Symbol(id) => Some(id.as_str().to_owned()),
        _ => None,
    })
}

/// A session's id in the form of the requested filter: described, as Go's SDK sends it and expects
/// it in the answer, or plain.
fn in_form(asked: Option<&Value>, session: String) -> Value {
    let value = Value::String(session);
    match asked {
        Some(Value::Described(asked)) => Value::Described(Box::new(Described {
            descriptor: asked.descriptor.clone(),
            value,
        })),
        _ => value,
    }
}

fn undescribed(value: &Value) -> &Value {
    match value {
        Value::Described(described) => &described.value,
        other => other,
    }
}

/// How long a receiver waits for the next session, in milliseconds.
fn session_wait(attach: &Attach) -> u64 {
    let properties = attach.properties.as_ref();
    let timeout = properties.and_then(|p| p.get(&Symbol::from(names::TIMEOUT)));
    match timeout {
        Some(Value::Uint(ms)) => u64::from(*ms),
        Some(Value::Int(ms)) => u64::try_from(*ms).unwrap_or(0),
        Some(Value::Ulong(ms)) => *ms,
        Some(Value::Long(ms)) => u64::try_from(*ms).unwrap_or(0),
        _ => facts::SESSION_WAIT,
    }
}
