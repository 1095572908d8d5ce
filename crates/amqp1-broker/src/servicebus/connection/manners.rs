//! The Service Bus dialect's own behaviour for sessions.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::{Attach, Disposition, Transfer};

use super::link::OfLink;
use super::outgoing::Given;
use super::settling::Locked;
use super::trunk::{Context, Fault, Incoming, Outgoing, Session};
use crate::amqp::answers;
use crate::amqp::ids::LinkId;
use crate::amqp::session::Manners;
use crate::servicebus::facts;
use crate::servicebus::model::token::LockToken;
use crate::servicebus::service::Service;
use crate::servicebus::settings::ServiceBus;

impl Manners for ServiceBus {
    const INCOMING_WINDOW: u32 = facts::SESSION_WINDOW;
    const TELLS_WINDOW_ALONE: bool = true;
    type Tag = [u8; 16];

    fn handle_max(&self) -> u32 {
        facts::HANDLE_MAX
    }

    fn on_attach(
        session: &mut Session,
        attach: Attach,
        refused: Option<Error>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        session.on_attach(attach, refused, context)
    }

    fn on_transfer(
        session: &mut Session,
        transfer: &Transfer,
        payload: Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        session.on_transfer(transfer, payload, context)
    }

    fn on_disposition(
        session: &mut Session,
        disposition: Disposition,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        session.on_disposition(disposition, context)
    }

    /// The answer keeps filters, because they name the receiver's session.
    fn answer(&self, attach: Attach) -> Attach {
        answers::attach(attach, self.max_message_size)
    }

    fn on_move(of: &mut OfLink, now: u64) {
        of.active_at = now;
    }

    fn top_up(&self, incoming: &mut Incoming, now: u64) -> bool {
        if incoming.of.withheld_until > now {
            return false;
        }
        let is_given = incoming.credit.top_up(facts::SENDER_CREDIT);
        if is_given {
            incoming.of.withheld_until = 0;
        }
        is_given
    }

    fn begin(_outgoing: &mut Outgoing, given: &Given) -> ([u8; 16], Option<Locked>) {
        // The tag of an answer to a request must match no lock.
        let token = given.lock.map(|lock| lock.token);
        let tag = token.unwrap_or_else(LockToken::random).delivery_tag();
        (tag, given.lock)
    }

    fn give_back(model: &mut Service, _link: LinkId, given: Given) {
        if let Some(lock) = given.lock {
            model.namespace.unassign(lock.node, lock.token);
        }
    }

    /// Messages that the receiver has received stay locked until their locks expire.
    fn forget(model: &mut Service, link: LinkId, _is_over: bool, _now: u64) {
        model.namespace.detach(link);
    }
}
