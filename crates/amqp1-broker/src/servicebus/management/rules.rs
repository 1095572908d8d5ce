//! Rules of a subscription: listed, added, removed.

use super::request::bad;
use super::{gone, Answer, Fields, Outcome};
use crate::servicebus::facts::condition;
use crate::servicebus::model::namespace::{Namespace, NodeId};

pub(super) fn add(_namespace: &mut Namespace, _node: NodeId, _fields: &Fields) -> Outcome {
    Err(unsupported())
}

pub(super) fn remove(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Outcome {
    let name = fields.text("rule-name").ok_or_else(|| bad("rule-name"))?;
    let rules = &mut namespace.node_mut(node).ok_or_else(gone)?.rules;
    let before = rules.len();
    rules.retain(|(rule, _)| !rule.eq_ignore_ascii_case(name));
    if rules.len() == before {
        let text = format!("There is no rule '{name}'.");
        return Err(Answer::failed(404, condition::MESSAGE_NOT_FOUND, text));
    }
    Ok(Answer::ok(super::map([])))
}

pub(super) fn enumerate(_namespace: &mut Namespace, _node: NodeId, _fields: &Fields) -> Outcome {
    Err(unsupported())
}

fn unsupported() -> Answer {
    Answer::failed(
        501,
        "amqp:not-implemented",
        "Rules are set in the configuration.",
    )
}
