//! Requests and their answers as messages.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::messaging::{AmqpValue, ApplicationProperties, MessageId, Properties};
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::primitives::{OrderedMap, Symbol};
use serde_amqp::Value;

use super::answer::Answer;
use crate::servicebus::facts::condition;
use crate::servicebus::model::errors;
use crate::servicebus::model::message::Message;

#[derive(Debug)]
pub(crate) struct Request {
    message_id: Option<MessageId>,
    pub(crate) reply_to: Option<String>,
    application: Vec<(String, Value)>,
    pub(crate) body: Fields,
}

impl Request {
    pub(crate) fn parse(payload: &Bytes) -> Result<Self, Error> {
        let message =
            Message::parse(payload).map_err(|e| errors::error(condition::DECODE_ERROR, e.0))?;
        Ok(Self {
            message_id: message.properties.message_id.clone(),
            reply_to: message.properties.reply_to.clone(),
            application: message.application(),
            body: Fields(message.amqp_value().unwrap_or(Value::Null)),
        })
    }

    /// The operation's name, without the service's prefix.
    pub(crate) fn operation(&self) -> &str {
        let name = self.text("operation").unwrap_or_default();
        name.strip_prefix("com.microsoft:").unwrap_or(name)
    }

    /// An application property with a text value.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.application.iter().find(|(key, _)| key == name)?;
        text(value)
    }

    /// Encodes the answer as a message. A misrouted one appears to answer another request.
    pub(crate) fn encode(&self, answer: &Answer, is_misrouted: bool) -> Vec<u8> {
        let names = if answer.is_cbs {
            ["status-code", "status-description", "error-condition"]
        } else {
            ["statusCode", "statusDescription", "errorCondition"]
        };
        let mut application = OrderedMap::new();
        application.insert(names[0].to_owned(), SimpleValue::Int(answer.status));
        let description = SimpleValue::String(answer.description.clone());
        application.insert(names[1].to_owned(), description);
        if let Some(condition) = &answer.condition {
            let condition = SimpleValue::Symbol(Symbol::from(condition.as_str()));
            application.insert(names[2].to_owned(), condition);
        }
        let properties = Properties {
            correlation_id: match is_misrouted {
                true => Some(MessageId::String("another's".to_owned())),
                false => self.message_id.clone(),
            },
            ..Properties::default()
        };
        let sections = [
            serde_amqp::to_vec(&properties),
            serde_amqp::to_vec(&ApplicationProperties(application)),
            serde_amqp::to_vec(&AmqpValue(&*answer.body)),
        ];
        sections.into_iter().flatten().flatten().collect()
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(text) => Some(text.as_str()),
        _ => None,
    }
}

/// A request's body: a map with text keys.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Value);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let Value::Map(map) = &self.0 else {
            return None;
        };
        let (_, value) = map.iter().find(|(key, _)| text(key) == Some(name))?;
        Some(value).filter(|value| **value != Value::Null)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(text)
    }

    /// Accepts any integer type.
    pub(super) fn integer(&self, name: &str) -> Result<i64, Answer> {
        let value = self.get(name).and_then(integer);
        value.ok_or_else(|| bad(name))
    }

    /// The elements of an array or a list.
    pub(super) fn elements(&self, name: &str) -> Result<Vec<Value>, Answer> {
        match self.get(name) {
            Some(Value::Array(array)) => Ok(array.0.clone()),
            Some(Value::List(list)) => Ok(list.clone()),
            _ => Err(bad(name)),
        }
    }

    /// The integers in an array or a list.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<i64>, Answer> {
        let elements = self.elements(name)?;
        let read = elements.iter().map(|v| integer(v).ok_or_else(|| bad(name)));
        read.collect()
    }
}

fn integer(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Long(v) => *v,
        Value::Int(v) => i64::from(*v),
        Value::Uint(v) => i64::from(*v),
        Value::Ulong(v) => i64::try_from(*v).ok()?,
        Value::Short(v) => i64::from(*v),
        Value::Ushort(v) => i64::from(*v),
        Value::Byte(v) => i64::from(*v),
        Value::Ubyte(v) => i64::from(*v),
        _ => return None,
    })
}

/// Status 400 for a field that is missing or has the wrong type.
pub(super) fn bad(name: &str) -> Answer {
    let text = format!("The field '{name}' is missing or not of its type.");
    Answer::failed(400, condition::ARGUMENT_ERROR, text)
}
