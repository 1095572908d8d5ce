//! The RabbitMQ dialect's own behaviour for sessions.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{Error, Role};
use fe2o3_amqp_types::performatives::{Attach, Disposition, Transfer};

use super::trunk::{Context, Fault, Incoming, Outgoing, Session};
use crate::amqp::answers;
use crate::amqp::ids::LinkId;
use crate::amqp::session::Manners;
use crate::rabbitmq::model::outcome::Loss;
use crate::rabbitmq::model::queue::Sequence;
use crate::rabbitmq::model::store::Store;
use crate::rabbitmq::settings::RabbitMq;

impl Manners for RabbitMq {
    const INCOMING_WINDOW: u32 = 2048;
    const TELLS_WINDOW_ALONE: bool = false;
    type Tag = [u8; 8];

    fn handle_max(&self) -> u32 {
        self.max_links.saturating_sub(1)
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

    /// Confirms the peer's own attach, without the parts that the broker does not support.
    fn answer(&self, attach: Attach) -> Attach {
        let mut answer = answers::attach(attach, self.max_message_size);
        if let (Role::Sender, Some(source)) = (&answer.role, &mut answer.source) {
            // A filter that is missing from the answer is not applied.
            source.filter = None;
        }
        answer
    }

    fn top_up(&self, incoming: &mut Incoming, _now: u64) -> bool {
        incoming.credit.top_up(self.publisher_credit.max(1))
    }

    fn flush(session: &mut Session, context: &mut Context<'_>) -> Result<(), Fault> {
        session.flush_settling(context)
    }

    fn begin(outgoing: &mut Outgoing, given: &Option<Sequence>) -> ([u8; 8], Option<Sequence>) {
        (outgoing.of.take_tag(), *given)
    }

    fn give_back(model: &mut Store, link: LinkId, given: Option<Sequence>) {
        if let Some(sequence) = given {
            model.unassign(link, sequence);
        }
    }

    fn forget(model: &mut Store, link: LinkId, is_over: bool, now: u64) {
        let loss = if is_over {
            Loss::Connection
        } else {
            Loss::Detached
        };
        model.detach(link, loss, now);
    }
}
