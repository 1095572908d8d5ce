//! Sorts arriving messages: jobs to hand out, and messages to set aside.

use std::rc::Rc;

use crate::base::clock::now_millis;
use crate::base::id;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::HandedOut;
use crate::error::condition::Condition;
use crate::error::{ErrorKind, Result};
use crate::format;
use crate::job::failure::Failure;
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;

/// The reason of messages that are not valid jobs.
const POISON: &str = "poison";

/// The reason of jobs whose attempts were used up without a recorded outcome.
const LOST: &str = "lost";

/// A message that is not handed out, and why: a message that is not a valid job, a job that has
/// ended too many workers, or a job that a copy will replace. An invalid message stays as it came;
/// only if nothing of it can be decoded, its bytes become the body.
#[derive(Debug)]
pub(crate) struct Poison {
    delivery: Delivery,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    /// Goes to a failed queue, with reason and error.
    Failed(&'static str, String),
    /// Replaced by a copy, because the broker would soon move it away.
    Renewed,
}

impl Poison {
    /// Moves it to the failed queue with the reason. If that is impossible, rejects it with the
    /// reason, for the broker's own dead-letter queue.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`]; for a job, also the reason why it cannot be moved.
    pub fn bury(&self, wait: &Wait<'_>) -> Result<()> {
        let wait = wait.restarted(self.delivery.timeout());
        let (reason, error) = match &self.fate {
            Fate::Failed(reason, error) => (*reason, error),
            Fate::Renewed => return self.delivery.renew(&wait),
        };
        let failure = Failure {
            message: error.clone(),
            exception: None,
        };
        let buried = self
            .delivery
            .dead_letter(reason, Some(&failure), None, &wait);
        match buried {
            // It is a valid job, so it is delivered again instead of being rejected.
            Err(error) if reason == LOST => {
                self.delivery.return_unseen();
                Err(error)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(_) => {
                self.delivery
                    .reject_as(Condition::DECODE_ERROR.as_str(), &failure.message);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// The result of taking a delivery.
pub(crate) enum Taken {
    Job(Rc<Delivery>),
    Poison(Box<Poison>),
    /// It had expired, or was lost before it could be handed out.
    Nothing,
}

/// Takes the next delivery; `None` if there is none. With `auto_ack`, or at its producer's request,
/// it is settled here.
///
/// # Errors
/// If the link has ended.
pub(crate) fn take(attachment: &Attachment, auto_ack: bool) -> Result<Option<Taken>> {
    let Some((incoming, link)) = attachment.take()? else {
        return Ok(None);
    };
    let delivery_id = incoming.delivery_id;
    let mut lock = None;
    // Without a holding, the tag has no meaning for the client.
    if let (Some(holding), false) = (&link.holding, incoming.settled) {
        lock = match holding.hand_out(&incoming.tag) {
            HandedOut::Gone => return Ok(Some(Taken::Nothing)),
            HandedOut::By(lock) => lock,
        };
    }
    let ids = (delivery_id, lock);
    let bytes = incoming.payload;
    let mapping = link.dialect.property_mapping();
    let mut error = None;
    let mut decoded = match format::decode(bytes.clone(), mapping) {
        Ok(decoded) => decoded,
        Err(why) => {
            error = Some(why.to_string());
            format::undecoded(bytes)
        }
    };
    if let Some(poison) = decoded.poison {
        error = Some(poison.to_owned());
    }
    if !link.dialect.counts_attempts() {
        decoded.forget_deliveries();
    }
    let missing = match decoded.id().is_empty() {
        true => id::job_id().map(|id| decoded.id = id.into()).err(),
        false => None,
    };
    if let Some(error) = missing {
        let definition = attachment.definition.clone();
        Delivery::new(decoded, definition, link, ids, incoming.settled).return_unseen();
        return Err(error);
    }
    if let Some(error) = error {
        let definition = attachment.definition.clone();
        let settled = incoming.settled;
        let delivery = Delivery::new(decoded, definition, link, ids, settled);
        let poison = Poison {
            delivery,
            fate: Fate::Failed(POISON, error),
        };
        return Ok(Some(Taken::Poison(Box::new(poison))));
    }
    let expires_at = decoded.expires_at;
    let expired = expires_at.is_some_and(|at| at < now_millis());
    let settled = incoming.settled || auto_ack || decoded.auto_ack;
    if expired || (settled && !incoming.settled) {
        if let (Some(holding), Some(lock)) = (&link.holding, lock) {
            holding.forget(&lock);
        }
        // Lost with its link: it will be delivered again.
        if link.accept(delivery_id).is_err() || expired {
            return Ok(Some(Taken::Nothing));
        }
    }
    let definition = attachment.definition.clone();
    let delivery = Delivery::new(decoded, definition, link, ids, settled);
    if !settled && delivery.is_used_up() {
        let error = format!(
            "it was delivered {} times but never settled: its workers died, or held it for longer than the broker allows",
            delivery.attempts() - 1
        );
        let poison = Poison {
            delivery,
            fate: Fate::Failed(LOST, error),
        };
        return Ok(Some(Taken::Poison(Box::new(poison))));
    }
    if !settled && delivery.is_worn() {
        let poison = Poison {
            delivery,
            fate: Fate::Renewed,
        };
        return Ok(Some(Taken::Poison(Box::new(poison))));
    }
    Ok(Some(Taken::Job(Rc::new(delivery))))
}
