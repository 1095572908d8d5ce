//! The messages that a subscription gets from its topic: the true filter and the correlation
//! filter.

use serde_amqp::Value;

use super::message::{id_text, Message};

/// A subscription's rule: the messages it selects, and its changes to them.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedRule {
    /// Its name.
    pub name: String,
    /// Which messages it selects.
    pub filter: Rule,
    /// Its changes to the subscription's copy, in order.
    pub changes: Vec<Change>,
    /// The SQL expression of its filter, if it was written as SQL.
    pub sql: Option<String>,
    /// The SQL expression of its changes, if they were written as SQL.
    pub action: Option<String>,
}

impl NamedRule {
    /// A rule without changes.
    pub fn new(name: impl Into<String>, filter: Rule) -> Self {
        Self {
            name: name.into(),
            filter,
            changes: Vec::new(),
            sql: None,
            action: None,
        }
    }
}

/// A property that a rule sets (`SET name = value`) or removes (`REMOVE name`). The names of system
/// properties begin with `sys.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The property's name.
    pub property: String,
    /// `None` removes it.
    pub value: Option<String>,
}

impl Change {
    pub(crate) fn apply(&self, message: &mut Message) {
        let value = self.value.clone();
        let name = self.property.to_ascii_lowercase();
        let p = &mut message.properties;
        match name.strip_prefix("sys.") {
            Some("correlationid") => p.correlation_id = value.map(Into::into),
            Some("messageid") => p.message_id = value.map(Into::into),
            Some("to") => p.to = value,
            Some("replyto") => p.reply_to = value,
            Some("label" | "subject") => p.subject = value,
            Some("sessionid") => p.group_id = value,
            Some("replytosessionid") => p.reply_to_group_id = value,
            Some("contenttype") => p.content_type = value.map(Into::into),
            Some(_) => {}
            None => {
                let name = match name.starts_with("user.") {
                    true => self.property.get(5..).unwrap_or_default(),
                    false => &self.property,
                };
                message.change_application(name, value.map(Value::String));
            }
        }
    }
}

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Every message (`SELECT 1=1`).
    True,
    /// No message.
    False,
    /// Messages that match all the given properties.
    Correlation(Box<Correlation>),
}

/// The properties that a correlation filter compares; `None` is not compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Correlation {
    /// `correlation-id`
    pub correlation_id: Option<String>,
    /// `message-id`
    pub message_id: Option<String>,
    /// `to`
    pub to: Option<String>,
    /// `reply-to`
    pub reply_to: Option<String>,
    /// `subject`, which the SDKs call label.
    pub subject: Option<String>,
    /// `group-id`
    pub session_id: Option<String>,
    /// `reply-to-group-id`
    pub reply_to_session_id: Option<String>,
    /// `content-type`
    pub content_type: Option<String>,
    /// Application properties, compared as text.
    pub properties: Vec<(String, Value)>,
}

impl Rule {
    pub(crate) fn matches(&self, message: &Message) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Correlation(filter) => filter.matches(message),
        }
    }
}

impl Correlation {
    fn matches(&self, message: &Message) -> bool {
        let p = &message.properties;
        let is = |wanted: &Option<String>, has: Option<&str>| match wanted {
            Some(wanted) => has == Some(wanted.as_str()),
            None => true,
        };
        let correlation_id = p.correlation_id.as_ref().map(id_text);
        is(&self.correlation_id, correlation_id.as_deref())
            && is(&self.message_id, message.id().as_deref())
            && is(&self.to, p.to.as_deref())
            && is(&self.reply_to, p.reply_to.as_deref())
            && is(&self.subject, p.subject.as_deref())
            && is(&self.session_id, message.session_id())
            && is(&self.reply_to_session_id, p.reply_to_group_id.as_deref())
            && is(
                &self.content_type,
                p.content_type.as_ref().map(|s| s.as_str()),
            )
            && self.has_properties(message)
    }

    fn has_properties(&self, message: &Message) -> bool {
        if self.properties.is_empty() {
            return true;
        }
        let has = message.application();
        self.properties.iter().all(|(name, wanted)| {
            let wanted = text(wanted);
            has.iter()
                .any(|(key, value)| key == name && wanted.is_some() && text(value) == wanted)
        })
    }
}

/// A simple value as text.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(v) => v.clone(),
        Value::Symbol(v) => v.as_str().to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Ubyte(v) => v.to_string(),
        Value::Ushort(v) => v.to_string(),
        Value::Uint(v) => v.to_string(),
        Value::Ulong(v) => v.to_string(),
        Value::Byte(v) => v.to_string(),
        Value::Short(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Long(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        Value::Double(v) => v.to_string(),
        _ => return None,
    })
}
