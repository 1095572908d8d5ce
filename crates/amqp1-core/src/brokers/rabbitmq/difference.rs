//! What exists against what the configuration says, in words.

use crate::brokers::rabbitmq::management::Response;
use crate::settings::input::Input;

/// What a queue is to be.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub durable: bool,
    pub exclusive: bool,
    pub queue_type: &'static str,
    /// The arguments that were asked for.
    pub asked: &'a [(String, Input)],
}

/// Set without having been asked for: RabbitMQ drops a message at its 20th failed
/// delivery unless told otherwise, and how often a job is tried is ours to decide.
pub(super) const UNLIMITED: (&str, Input) = ("x-delivery-limit", Input::Int(-1));

/// Each difference between the queue that the broker describes and the one that is
/// wanted, as `x-max-length is 7 (configured: 8)`.
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
    // What goes with its last consumer is none of ours.
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

/// Numbers are the same whatever their width and form, as RabbitMQ has it.
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
