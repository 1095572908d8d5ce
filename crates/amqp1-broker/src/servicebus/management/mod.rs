//! Requests to `$cbs` and `<entity>/$management`. Names no connection.

mod answer;
mod cbs;
mod locks;
mod messages;
mod request;
mod rules;
mod sessions;

use fe2o3_amqp_types::definitions::Error;

use super::address::Address;
use super::model::errors;
use super::model::namespace::{NodeId, Use};
use super::model::queue::Queue;
use super::sas::Claim;
use super::service::Service;
use super::settings::ServiceBus;
use crate::amqp::shared::Shared;
use crate::servicebus::facts::condition;
pub(crate) use answer::Answer;
use answer::Answered;
pub(crate) use request::Request;

/// The caller's context.
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Shared<ServiceBus>,
    pub(crate) now: u64,
}

/// Executes a request. The error is for messages that are not requests.
pub(crate) fn answer(
    address: &Address,
    request: &Request,
    caller: &Caller<'_>,
    service: &mut Service,
) -> Result<(Answer, Option<Claim>), Error> {
    match address {
        Address::Cbs => Ok(cbs::put_token(request, caller, &service.namespace)),
        Address::Management(path) => {
            let node = service.namespace.resolve(path, Use::Manage)?;
            let answer = operate(node, request, caller, service);
            Ok((answer.unwrap_or_else(|refusal| refusal), None))
        }
        _ => Err(errors::not_allowed("this node takes no requests")),
    }
}

fn operate(
    node: NodeId,
    request: &Request,
    caller: &Caller<'_>,
    service: &mut Service,
) -> Answered {
    let name = request.operation();
    let fields = &request.body;
    let now = caller.now;
    let namespace = &mut service.namespace;
    match name {
        "renew-lock" => locks::renew(namespace, node, fields, now),
        "update-disposition" => locks::update_disposition(namespace, node, fields),
        "peek-message" => messages::peek(namespace, node, fields),
        "schedule-message" => messages::schedule(namespace, node, fields, now),
        "cancel-scheduled-message" => messages::cancel(namespace, node, fields),
        "receive-by-sequence-number" => messages::receive(namespace, node, fields, now),
        "renew-session-lock" => sessions::renew(namespace, node, fields, now),
        "get-session-state" => sessions::get_state(namespace, node, fields),
        "set-session-state" => sessions::set_state(namespace, node, fields, now),
        "get-message-sessions" => sessions::list(namespace, node, fields),
        "enumerate-rules" => rules::enumerate(namespace, node, fields),
        "add-rule" => rules::add(namespace, node, fields),
        "remove-rule" => rules::remove(namespace, node, fields),
        _ => Err(Answer::failed(
            501,
            condition::NOT_IMPLEMENTED,
            format!("The operation '{name}' is not supported."),
        )),
    }
}

/// Revokes the locks that a request names.
pub(crate) fn lose_locks(queue: &mut Queue, request: &Request) {
    for token in locks::tokens(&request.body).unwrap_or_default() {
        queue.lose(token);
    }
    if let Some(session) = request.body.text("session-id") {
        queue.lose_session(session);
    }
}
