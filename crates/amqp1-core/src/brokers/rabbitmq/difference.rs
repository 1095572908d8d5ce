//! Describes how an existing queue differs from its configuration.

use crate::brokers::rabbitmq::management::Response;
use crate::settings::input::Input;

/// A queue as it is configured.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub durable: bool,
    pub exclusive: bool,
    pub queue_type: &'static str,
    /// The requested arguments.
    pub asked: &'a [(String, Input)],
}

/// Set by default: RabbitMQ otherwise drops a message at its 20th failed delivery, but the retry
/// policy alone must limit the attempts.
pub(super) const UNLIMITED: (&str, Input) = ("x-delivery-limit", Input::Int(-1));

/// Each difference between the queue that the broker describes and the configured one, such as
/// `x-max-length is 7 (configured: 8)`.
pub(super) fn differences(existing: &Response, wanted: &Wanted<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |name: &str, is: Option<Input>, configured: Option<&Input>| {
        if is.as_ref().map(comparable) != configured.map(comparable) {
            found.push(format!(
                "{name} is {} (configured: {})",
                shown(is.as_ref()),
                shown(configured)
            ));
        }
    };
    let flags = [("durable", wanted.durable), ("exclusive", wanted.exclusive)];
    for (name, configured) in flags {
        if let Some(is) = existing.value(name) {
            compare(name, Some(is), Some(&Input::Bool(configured)));
        }
    }
    // A queue that is deleted with its last consumer is not one of ours.
    if let Some(is) = existing.value("auto_delete") {
        compare("auto_delete", Some(is), Some(&Input::Bool(false)));
    }
    if let Some(is) = existing.value("type") {
        let configured = Input::Text(wanted.queue_type.to_owned());
        compare("type", Some(is), Some(&configured));
    }
    let arguments = match existing.value("arguments") {
        Some(Input::Map(arguments)) => arguments,
        _ => Vec::new(),
    };
    let by_name = |list: &[(String, Input)], name: &str| {
        let found = list.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    for (name, configured) in wanted.asked {
        if name != "x-queue-type" {
            compare(name, by_name(&arguments, name), Some(configured));
        }
    }
    for (name, is) in &arguments {
        let known = by_name(wanted.asked, name).is_some();
        let ours = name == UNLIMITED.0 && *is == UNLIMITED.1;
        if !known && name != "x-queue-type" && !ours {
            compare(name, Some(is.clone()), None);
        }
    }
    found
}

/// Like RabbitMQ, treats numbers of any width and form as equal.
fn comparable(value: &Input) -> Input {
    match value {
        Input::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
            Input::Int(*number as i64)
        }
        other => other.clone(),
    }
}

fn shown(value: Option<&Input>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(Input::Null) => "null".to_owned(),
        Some(Input::Bool(value)) => value.to_string(),
        Some(Input::Int(value)) => value.to_string(),
        Some(Input::Float(value)) => value.to_string(),
        Some(Input::Text(value)) => format!("'{value}'"),
        Some(Input::List(_)) => "a list".to_owned(),
        Some(Input::Map(_)) => "a map".to_owned(),
    }
}
