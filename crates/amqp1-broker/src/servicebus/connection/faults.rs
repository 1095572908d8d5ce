//! Injected faults, as they happen on a connection.

use super::trunk::{Broken, Connection, Context, Fault, Kind};
use crate::servicebus::address::Address;
use crate::servicebus::faults::{self, Action, Point};
use crate::servicebus::service::Service;

impl Context<'_> {
    /// The injected fault that happens at this point, if any.
    pub(super) fn fault(&mut self, point: Point<'_>, address: &Address) -> Option<Action> {
        self.model.faults.take(point, path(address)?)
    }
}

/// The path by which faults name an address; `None` if no fault can happen there.
fn path(address: &Address) -> Option<&str> {
    match address {
        Address::Entity(path) | Address::Management(path) => Some(path),
        Address::Cbs => Some("$cbs"),
        Address::Faults => None,
    }
}

impl Action {
    /// Converts a fault that ends a link, its connection or its stream; returns other actions as
    /// `Err`.
    pub(super) fn into_fault(self, handle: u32) -> Result<Fault, Self> {
        Ok(match self {
            Self::Detach(error) => Fault::Link(handle, error),
            Self::Close(error) => Fault::Connection(error),
            Self::Reset => Fault::OfDialect(Broken::Stream),
            Self::ExpireToken => Fault::OfDialect(Broken::Token),
            other => return Err(other),
        })
    }
}

impl Connection {
    /// Makes a fault happen now, on the links it concerns. The connection that injects faults is
    /// exempt from those for all entities.
    pub(super) fn happen(&mut self, fault: &faults::Fault, model: &mut Service, now: u64) {
        let mut concerned = Vec::new();
        let mut asks = false;
        for (channel, session) in &self.sessions {
            for (handle, link) in &session.links {
                asks |= link.of.address == Address::Faults;
                let is_it = path(&link.of.address).is_some_and(|path| fault.concerns(path));
                if is_it && !matches!(link.kind, Kind::Detached) {
                    concerned.push((*channel, *handle));
                }
            }
        }
        if asks && fault.entity.is_none() {
            return;
        }
        if let Action::Detach(error) = &fault.action {
            for (channel, handle) in concerned {
                let error = error.clone();
                self.with_session(channel, model, now, |_, _| Err(Fault::Link(handle, error)));
            }
            return;
        }
        let is_concerned = fault.entity.is_none() || !concerned.is_empty();
        if !is_concerned {
            return;
        }
        match &fault.action {
            Action::Close(error) => self.close(error.clone(), model, now),
            Action::Reset => self.reset(model, now),
            Action::ExpireToken => self.expire_token(model, now),
            _ => {}
        }
    }

    /// Revokes the peer's tokens.
    pub(super) fn expire_token(&mut self, model: &mut Service, now: u64) {
        self.of.access.revoke();
        self.drop_unauthorized(model, now);
    }
}
