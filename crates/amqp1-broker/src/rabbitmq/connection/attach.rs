//! Attaches links (AMQP 1.0 section 2.6.3), or refuses them.

use std::collections::VecDeque;

use fe2o3_amqp_types::definitions::{AmqpError, Error, Fields, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::TargetArchetype;
use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::Value;

use super::link::{OfOutgoing, Target};
use super::trunk::{Context, Fault, Incoming, Kind, Link, Outgoing, Session, Source};
use crate::amqp::credit::ReceiveCredit;
use crate::amqp::errors as breach;
use crate::amqp::ids::LinkId;
use crate::amqp::session::Manners;
use crate::rabbitmq::model::address::Address;
use crate::rabbitmq::model::arguments::integer;
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::outcome::{Loss, Outcome};

/// Link property: a consumer's priority (<https://www.rabbitmq.com/docs/consumer-priority>), an
/// AMQP int.
const PRIORITY: &str = "rabbitmq:priority";

/// Link property: how long a consumer may hold a delivery, in milliseconds.
const TIMEOUT: &str = "rabbitmq:consumer-timeout";

impl Session {
    /// Attaches a link. `refused` says why the frame itself rules it out, if it does.
    pub(super) fn on_attach(
        &mut self,
        mut attach: Attach,
        refused: Option<Error>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let handle = attach.handle.0;
        if handle >= context.shared.settings.max_links {
            let e = errors::error(
                AmqpError::ResourceLimitExceeded,
                format!("handle {handle} is beyond handle-max"),
            );
            return Err(Fault::Connection(e));
        }
        if self.links.contains_key(&handle) {
            return Err(Fault::Session(breach::handle_in_use(handle)));
        }
        let made = match (refused, &attach.role) {
            (Some(error), _) => Err(error),
            (None, Role::Sender) => publisher(&attach, context),
            (None, Role::Receiver) => consumer(&mut attach, context),
        };
        match made {
            Ok((id, kind)) => self.accept(attach, id, kind, context),
            Err(error) => self.turn_down(attach, error, context),
        }
    }

    fn accept(
        &mut self,
        attach: Attach,
        id: LinkId,
        kind: Kind,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let handle = attach.handle.0;
        let is_incoming = matches!(kind, Kind::Incoming(_));
        self.links.insert(handle, link(&attach, id, kind));
        context.attachments.add(id, (self.channel, handle));
        let answer = context.shared.settings.answer(attach);
        context.put(self.channel, &answer)?;
        if is_incoming {
            let flow = self.link_flow(handle, 0);
            context.put(self.channel, &flow)?;
        }
        Ok(())
    }

    /// Refuses a link: detaches it as soon as it is attached.
    fn turn_down(
        &mut self,
        attach: Attach,
        error: Error,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let id = context.model.attach_other(context.connection);
        context.model.detach(id, Loss::Detached, context.now);
        let detached = link(&attach, id, Kind::Detached);
        self.links.insert(attach.handle.0, detached);
        self.refuse(attach, error, context)
    }
}

fn link(attach: &Attach, id: LinkId, kind: Kind) -> Link {
    Link {
        name: attach.name.clone(),
        id,
        kind,
        of: (),
    }
}

/// Attaches a link whose peer sends.
fn publisher(attach: &Attach, context: &mut Context<'_>) -> Result<(LinkId, Kind), Error> {
    let Some(TargetArchetype::Target(target)) = attach.target.as_deref() else {
        return Err(errors::invalid_field("an attaching sender needs a target"));
    };
    if target.dynamic {
        return Err(errors::error(
            AmqpError::NotImplemented,
            "dynamic targets are not supported",
        ));
    }
    let address = target.address.as_deref().map(Address::parse).transpose();
    let address = address.map_err(errors::invalid_field)?;
    let (id, target) = if address == Some(Address::Management) {
        let id = context.model.attach_other(context.connection);
        (id, Target::Management)
    } else {
        let (id, route) = context
            .model
            .attach_publisher(context.connection, address)?;
        (id, Target::Node(route))
    };
    let incoming = Incoming {
        of: target,
        credit: ReceiveCredit::new(attach, context.shared.settings.publisher_credit.max(1)),
        partial: None,
    };
    Ok((id, Kind::Incoming(incoming)))
}

/// Attaches a link whose peer receives.
fn consumer(attach: &mut Attach, context: &mut Context<'_>) -> Result<(LinkId, Kind), Error> {
    let Some(source) = attach.source.as_deref_mut() else {
        return Err(errors::invalid_field(
            "an attaching receiver needs a source",
        ));
    };
    if source.dynamic {
        // The answer tells the address (3.5.3).
        let name = context.model.create_dynamic(context.connection);
        source.address = Some(Address::of_queue(&name));
    }
    let address = source.address.as_deref().unwrap_or_default();
    let (id, from) = match Address::parse(address).map_err(errors::invalid_field)? {
        Address::Management => {
            let id = context.model.attach_other(context.connection);
            (id, Source::Replies(VecDeque::new()))
        }
        Address::Exchange { .. } => {
            return Err(errors::invalid_field(format!(
                "source '{address}' is an exchange; messages are received from queues only"
            )));
        }
        Address::Queue(name) => {
            let priority = priority(attach.properties.as_ref())?;
            let timeout = timeout(attach.properties.as_ref())?;
            let pre_settled = attach.snd_settle_mode == SenderSettleMode::Settled;
            let id = context.model.attach_consumer(
                context.connection,
                &name,
                priority,
                timeout,
                pre_settled,
            )?;
            (id, Source::Queue(()))
        }
    };
    let default_outcome = source
        .default_outcome
        .as_ref()
        .and_then(Outcome::from_default)
        .unwrap_or(Outcome::Released);
    let outgoing = Outgoing::new(from, OfOutgoing::new(default_outcome));
    Ok((id, Kind::Outgoing(outgoing)))
}

fn priority(properties: Option<&Fields>) -> Result<i32, Error> {
    match properties.and_then(|properties| properties.get(PRIORITY)) {
        None => Ok(0),
        Some(Value::Int(priority)) => Ok(*priority),
        Some(_) => Err(errors::invalid_field(format!(
            "link property {PRIORITY} must be an int"
        ))),
    }
}

fn timeout(properties: Option<&Fields>) -> Result<Option<u64>, Error> {
    let Some(value) = properties.and_then(|properties| properties.get(TIMEOUT)) else {
        return Ok(None);
    };
    let timeout = integer(value).ok().and_then(|ms| u64::try_from(ms).ok());
    timeout.map(Some).ok_or_else(|| {
        errors::invalid_field(format!(
            "link property {TIMEOUT} must be an integer, not negative"
        ))
    })
}
