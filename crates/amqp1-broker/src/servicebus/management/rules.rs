//! A subscription's rules: lists, adds and removes them. For their encoding, see
//! <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response#rule-operations>.

use fe2o3_amqp_types::definitions::Error;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use serde_amqp::primitives::OrderedMap;
use serde_amqp::Value;

use super::answer::{gone, map, Answer, Answered};
use super::request::{bad, text, Fields};
use crate::servicebus::address::Address;
use crate::servicebus::config::sql;
use crate::servicebus::facts::{condition, rule as codes};
use crate::servicebus::model::errors;
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::rules::{Change, Correlation, NamedRule, Rule};

pub(super) fn enumerate(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let top = fields.integer("top")?;
    let skip = fields.integer("skip")?;
    let top = usize::try_from(top).map_err(|_| bad("top"))?;
    let skip = usize::try_from(skip).map_err(|_| bad("skip"))?;
    let rules = rules(namespace, node)?.iter().skip(skip).take(top);
    let rules: Vec<Value> = rules
        .map(|rule| map([("rule-description", description(rule))]))
        .collect();
    if rules.is_empty() {
        return Ok(Answer::with(204, "No rules.", map([])));
    }
    Ok(Answer::ok(map([("rules", Value::List(rules))])))
}

pub(super) fn add(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let name = name(fields)?;
    let described = fields.get("rule-description");
    let described = Fields(described.ok_or_else(|| bad("rule-description"))?.clone());
    let rule = read(name, &described)?;
    let rules = rules(namespace, node)?;
    if rules
        .iter()
        .any(|rule| rule.name.eq_ignore_ascii_case(name))
    {
        let text = format!("The rule '{name}' already exists.");
        return Err(Answer::failed(409, condition::ALREADY_EXISTS, text));
    }
    rules.push(rule);
    Ok(Answer::ok(map([])))
}

pub(super) fn remove(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let name = name(fields)?;
    let rules = rules(namespace, node)?;
    let before = rules.len();
    rules.retain(|rule| !rule.name.eq_ignore_ascii_case(name));
    if rules.len() == before {
        let path = namespace.node(node).map_or("", |node| &node.path);
        return Err(refused(errors::no_entity(&format!("{path}/Rules/{name}"))));
    }
    Ok(Answer::ok(map([])))
}

/// The rules of a subscription. The error is for any other entity.
fn rules(namespace: &mut Namespace, node: NodeId) -> Result<&mut Vec<NamedRule>, Answer> {
    let node = namespace.node_mut(node).ok_or_else(gone)?;
    if node.is_subscription() {
        return Ok(&mut node.rules);
    }
    let error = errors::not_allowed(format!(
        "'{}' is no subscription: it has no rules",
        node.path
    ));
    Err(refused(error))
}

fn refused(error: Error) -> Answer {
    Answer::refused(error, &Address::Management(String::new()))
}

fn name(fields: &Fields) -> Result<&str, Answer> {
    let name = fields.text("rule-name").filter(|name| !name.is_empty());
    name.ok_or_else(|| bad("rule-name"))
}

/// Parses a rule from its description in a request.
fn read(name: &str, described: &Fields) -> Result<NamedRule, Answer> {
    let expression = |field: &str| -> Result<Option<String>, Answer> {
        let Some(value) = described.get(field) else {
            return Ok(None);
        };
        let fields = Fields(value.clone());
        let expression = fields.text("expression").ok_or_else(|| bad("expression"))?;
        Ok(Some(expression.to_owned()))
    };
    let sql = expression("sql-filter")?;
    let filter = match (&sql, described.get("correlation-filter")) {
        (Some(sql), _) => sql::rule(sql).map_err(unsupported)?,
        (None, Some(filter)) => correlation(&Fields(filter.clone()))?,
        (None, None) => return Err(bad("rule-description")),
    };
    let action = expression("sql-rule-action")?.filter(|action| !action.trim().is_empty());
    let changes: Vec<Change> = match &action {
        Some(action) => sql::changes(action).map_err(unsupported)?,
        None => Vec::new(),
    };
    Ok(NamedRule {
        sql,
        action,
        changes,
        ..NamedRule::new(name, filter)
    })
}

fn correlation(fields: &Fields) -> Result<Rule, Answer> {
    let text_of = |name: &str| fields.text(name).map(str::to_owned);
    let mut properties = Vec::new();
    if let Some(Value::Map(map)) = fields.get("properties") {
        for (key, value) in map {
            let key = text(key).ok_or_else(|| bad("properties"))?;
            properties.push((key.to_owned(), value.clone()));
        }
    }
    let filter = Correlation {
        correlation_id: text_of("correlation-id"),
        message_id: text_of("message-id"),
        to: text_of("to"),
        reply_to: text_of("reply-to"),
        subject: text_of("label"),
        session_id: text_of("session-id"),
        reply_to_session_id: text_of("reply-to-session-id"),
        content_type: text_of("content-type"),
        properties,
    };
    if filter == Correlation::default() {
        return Err(bad("correlation-filter"));
    }
    Ok(Rule::Correlation(Box::new(filter)))
}

fn unsupported(what: String) -> Answer {
    Answer::failed(501, condition::NOT_IMPLEMENTED, what)
}

/// Describes a rule in an answer: its filter, its action, its name.
fn description(rule: &NamedRule) -> Value {
    let filter = match (&rule.sql, &rule.filter) {
        (Some(sql), _) => described(codes::SQL_FILTER, vec![sql.as_str().into()]),
        (None, Rule::True) => described(codes::TRUE_FILTER, Vec::new()),
        (None, Rule::False) => described(codes::FALSE_FILTER, Vec::new()),
        (None, Rule::Correlation(filter)) => described(codes::CORRELATION_FILTER, compared(filter)),
    };
    let action = match &rule.action {
        Some(sql) => described(codes::SQL_ACTION, vec![sql.as_str().into()]),
        None => described(codes::EMPTY_ACTION, Vec::new()),
    };
    let name = Value::from(rule.name.as_str());
    described(codes::DESCRIPTION, vec![filter, action, name])
}

fn compared(filter: &Correlation) -> Vec<Value> {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let mut properties: OrderedMap<Value, Value> = OrderedMap::new();
    for (key, value) in &filter.properties {
        properties.insert(Value::from(key.as_str()), value.clone());
    }
    vec![
        text(&filter.correlation_id),
        text(&filter.message_id),
        text(&filter.to),
        text(&filter.reply_to),
        text(&filter.subject),
        text(&filter.session_id),
        text(&filter.reply_to_session_id),
        text(&filter.content_type),
        Value::Map(properties),
    ]
}

fn described(code: u64, fields: Vec<Value>) -> Value {
    Value::Described(Box::new(Described {
        descriptor: Descriptor::Code(code),
        value: Value::List(fields),
    }))
}
