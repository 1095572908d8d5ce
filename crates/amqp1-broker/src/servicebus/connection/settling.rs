//! Receivers' dispositions: complete, abandon, defer, dead-letter.

use fe2o3_amqp_types::definitions::{Error, Fields, Role};
use fe2o3_amqp_types::messaging::{DeliveryState, Rejected};
use fe2o3_amqp_types::performatives::Disposition;
use serde_amqp::Value;

use super::trunk::{Context, Fault, Session};
use crate::amqp::answers;
use crate::amqp::ids::LinkId;
use crate::servicebus::address::Address;
use crate::servicebus::facts::dead_letter;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::errors;
use crate::servicebus::model::namespace::NodeId;
use crate::servicebus::model::queue::{Lost, Modifications, Queue};
use crate::servicebus::model::token::LockToken;

/// A message that its receiver has locked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locked {
    pub(super) node: NodeId,
    pub(super) token: LockToken,
}

impl Session {
    /// Handles a receiver's disposition. One that does not settle is answered with one that does.
    pub(super) fn on_disposition(
        &mut self,
        disposition: Disposition,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some((first, last)) = self.deliveries.meant(&disposition) else {
            return Ok(());
        };
        let is_outcome = match &disposition.state {
            None => disposition.settled,
            // `received` reports the receiver's progress and settles nothing.
            Some(DeliveryState::Received(_)) => false,
            Some(_) => true,
        };
        if !is_outcome {
            return Ok(());
        }
        for delivery in self.deliveries.between(first, last) {
            let Some(unsettled) = self.deliveries.settle(delivery) else {
                continue;
            };
            let Some((handle, address)) = self.touch(unsettled.link, context) else {
                continue;
            };
            let mut refused = None;
            match context.fault(Point::Settle, &address) {
                Some(Action::LoseLock) => lose(unsettled.of, context),
                Some(Action::Drop) => continue,
                Some(Action::Fail(error)) => refused = Some(rejected(error)),
                Some(action) => {
                    if let Ok(fault) = action.into_fault(handle) {
                        return Err(fault);
                    }
                }
                None => {}
            }
            let answer = match &disposition.state {
                None => None,
                Some(_) if refused.is_some() => refused,
                Some(state) => Some(settle(unsettled.of, state, context)),
            };
            match context.fault(Point::Settled, &address) {
                Some(Action::Drop) => continue,
                Some(action) => {
                    if let Ok(fault) = action.into_fault(handle) {
                        return Err(fault);
                    }
                }
                None => {}
            }
            if disposition.settled {
                continue;
            }
            let id = delivery as u32;
            let answer = answers::settled(Role::Sender, id, id, answer);
            context.put(self.channel, &answer)?;
        }
        Ok(())
    }

    /// Records activity on a link; returns its handle and address.
    fn touch(&mut self, link: LinkId, context: &Context<'_>) -> Option<(u32, Address)> {
        let (_, handle) = context.attachments.place(link)?;
        let link = self.links.get_mut(&handle)?;
        link.of.active_at = context.now;
        Some((handle, link.of.address.clone()))
    }
}

/// Revokes a delivery's lock; in a session, the session's lock.
fn lose(locked: Locked, context: &mut Context<'_>) {
    let namespace = &mut context.model.namespace;
    if let Some(queue) = namespace.queue_mut(locked.node) {
        queue.lose(locked.token);
    }
}

/// Settles one delivery. Returns the state for the answer.
fn settle(locked: Locked, state: &DeliveryState, context: &mut Context<'_>) -> DeliveryState {
    let namespace = &mut context.model.namespace;
    let Some(queue) = namespace.queue_mut(locked.node) else {
        return state.clone();
    };
    if queue.is_dead_letters && matches!(state, DeliveryState::Rejected(_)) {
        return rejected(errors::already_dead());
    }
    match apply(queue, locked.token, state) {
        // Both SDKs read a `rejected` with an error as a failed dead-lettering.
        Ok(()) if matches!(state, DeliveryState::Rejected(_)) => {
            DeliveryState::Rejected(Rejected { error: None })
        }
        Ok(()) => state.clone(),
        Err(Lost) => rejected(errors::lock_lost(queue.settings.requires_session)),
    }
}

fn rejected(error: Error) -> DeliveryState {
    DeliveryState::Rejected(Rejected { error: Some(error) })
}

fn apply(queue: &mut Queue, token: LockToken, state: &DeliveryState) -> Result<(), Lost> {
    match state {
        DeliveryState::Accepted(_) => queue.complete(token),
        DeliveryState::Released(_) => queue.release(token),
        DeliveryState::Modified(modified) => {
            let with = modifications(modified.message_annotations.as_ref());
            if modified.undeliverable_here.unwrap_or(false) {
                queue.defer(token, with)
            } else {
                queue.abandon(token, with)
            }
        }
        DeliveryState::Rejected(rejected) => {
            queue.dead_letter(token, reasons(rejected.error.as_ref()))
        }
        _ => Ok(()),
    }
}

fn modifications(annotations: Option<&Fields>) -> Modifications {
    let annotations = annotations.into_iter().flatten();
    annotations
        .map(|(key, value)| (key.as_str().to_owned(), value.clone()))
        .collect()
}

/// The reason for dead-lettering: from the error's info, or else the error itself.
fn reasons(error: Option<&Error>) -> Modifications {
    let Some(error) = error else {
        return Vec::new();
    };
    let mut with = modifications(error.info.as_deref());
    let has = |with: &Modifications, name: &str| with.iter().any(|(key, _)| key == name);
    if !has(&with, dead_letter::DESCRIPTION) {
        if let Some(description) = &error.description {
            let key = dead_letter::DESCRIPTION.to_owned();
            with.push((key, Value::String(description.clone())));
        }
    }
    with.retain(|(_, value)| *value != Value::Null);
    with
}
