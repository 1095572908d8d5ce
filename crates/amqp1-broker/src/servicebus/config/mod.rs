//! Reads entities from the configuration file of Microsoft's Service Bus emulator (`Config.json`).

mod duration;
mod file;
pub(super) mod sql;

use std::collections::HashSet;
use std::time::Duration;

use super::settings::{
    Correlation, NamedRule, QueueSettings, Rule, ServiceBus, SubscriptionSettings, TopicSettings,
};
use file::{Config, FileRule, QueueProperties, RuleProperties, TopicProperties};

impl ServiceBus {
    /// Adds the queues and topics of a `Config.json`.
    ///
    /// # Errors
    /// A sentence that says where the file is invalid, or what this broker does not support in it.
    pub fn add_config(&mut self, json: &str) -> Result<(), String> {
        let config: Config = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let mut namespaces = config.user_config.namespaces.into_iter();
        let namespace = namespaces.next().ok_or("there is no namespace")?;
        if namespaces.next().is_some() {
            return Err("there is more than one namespace".to_owned());
        }
        let mut names = Names::default();
        for queue in namespace.queues {
            let at = format!("queue '{}'", queue.name);
            names.add(&queue.name).map_err(|e| format!("{at}: {e}"))?;
            let settings = queue_settings(&queue.properties).map_err(|e| format!("{at}: {e}"))?;
            self.queues.push((queue.name, settings));
        }
        for topic in namespace.topics {
            let at = format!("topic '{}'", topic.name);
            names.add(&topic.name).map_err(|e| format!("{at}: {e}"))?;
            let mut names = Names::default();
            let mut settings =
                topic_settings(&topic.properties).map_err(|e| format!("{at}: {e}"))?;
            for subscription in topic.subscriptions {
                let at = format!("{at}: subscription '{}'", subscription.name);
                names
                    .add(&subscription.name)
                    .map_err(|e| format!("{at}: {e}"))?;
                let queue = queue_settings(&subscription.properties);
                let queue = queue.map_err(|e| format!("{at}: {e}"))?;
                let mut made = SubscriptionSettings::to_all(subscription.name, queue);
                if !subscription.rules.is_empty() {
                    made.rules.clear();
                }
                for of_file in subscription.rules {
                    let read = named_rule(&of_file);
                    let read = read.map_err(|e| format!("{at}: rule '{}': {e}", of_file.name))?;
                    made.rules.push(read);
                }
                settings.subscriptions.push(made);
            }
            self.topics.push((topic.name, settings));
        }
        Ok(())
    }
}

/// Names of one kind, which must be unique regardless of case.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn add(&mut self, name: &str) -> Result<(), &'static str> {
        match name {
            "" => Err("Name: must not be empty"),
            _ if !self.0.insert(name.to_lowercase()) => {
                Err("Name: there is another entity of this name")
            }
            _ => Ok(()),
        }
    }
}

fn time(name: &str, text: Option<&String>) -> Result<Option<Duration>, String> {
    match text {
        Some(text) if !text.is_empty() => duration::parse(text)
            .filter(|time| !time.is_zero())
            .map(Some)
            .ok_or_else(|| format!("{name}: '{text}' is no ISO 8601 duration, such as PT1M")),
        _ => Ok(None),
    }
}

fn queue_settings(p: &QueueProperties) -> Result<QueueSettings, String> {
    let default = QueueSettings {
        max_delivery_count: MAX_DELIVERY_COUNT,
        default_ttl: Some(TIME_TO_LIVE),
        ..QueueSettings::default()
    };
    let window = time(
        "DuplicateDetectionHistoryTimeWindow",
        p.duplicate_detection_history_time_window.as_ref(),
    )?;
    let lock = time("LockDuration", p.lock_duration.as_ref())?;
    let target = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    if p.max_delivery_count == Some(0) {
        return Err("MaxDeliveryCount: must be 1 at least".to_owned());
    }
    Ok(QueueSettings {
        lock_duration: lock.unwrap_or(default.lock_duration),
        max_delivery_count: p.max_delivery_count.unwrap_or(default.max_delivery_count),
        requires_session: p.requires_session,
        default_ttl: time(
            "DefaultMessageTimeToLive",
            p.default_message_time_to_live.as_ref(),
        )?
        .or(default.default_ttl),
        dead_letter_on_expiration: p.dead_lettering_on_message_expiration,
        duplicate_detection: p
            .requires_duplicate_detection
            .then(|| window.unwrap_or(DUPLICATE_WINDOW)),
        forward_to: target(&p.forward_to),
        forward_dead_letters_to: target(&p.forward_dead_lettered_messages_to),
        max_size: p
            .max_size_in_megabytes
            .map_or(default.max_size, |mb| mb.saturating_mul(1 << 20)),
    })
}

/// The emulator's defaults (from its Config-schema.json). The service's own defaults differ.
const MAX_DELIVERY_COUNT: u32 = 3;
const TIME_TO_LIVE: Duration = Duration::from_secs(3600);
const DUPLICATE_WINDOW: Duration = Duration::from_secs(20);

fn topic_settings(p: &TopicProperties) -> Result<TopicSettings, String> {
    let window = time(
        "DuplicateDetectionHistoryTimeWindow",
        p.duplicate_detection_history_time_window.as_ref(),
    )?;
    Ok(TopicSettings {
        default_ttl: time(
            "DefaultMessageTimeToLive",
            p.default_message_time_to_live.as_ref(),
        )?
        .or(Some(TIME_TO_LIVE)),
        duplicate_detection: p
            .requires_duplicate_detection
            .then(|| window.unwrap_or(DUPLICATE_WINDOW)),
        subscriptions: Vec::new(),
    })
}

fn named_rule(of_file: &FileRule) -> Result<NamedRule, String> {
    let mut read = NamedRule::new(&of_file.name, rule(&of_file.properties)?);
    if let Some(action) = &of_file.properties.action {
        read.changes = sql::changes(&action.sql_expression)?;
        read.action = Some(action.sql_expression.clone());
    }
    read.sql = of_file
        .properties
        .sql_filter
        .as_ref()
        .map(|filter| filter.sql_expression.clone());
    Ok(read)
}

fn rule(p: &RuleProperties) -> Result<Rule, String> {
    if let Some(filter) = &p.sql_filter {
        return sql::rule(&filter.sql_expression);
    }
    if let Some(filter) = &p.correlation_filter {
        let properties = filter.properties.iter().map(|(key, value)| {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (key.clone(), text.into())
        });
        return Ok(Rule::Correlation(Box::new(Correlation {
            correlation_id: filter.correlation_id.clone(),
            message_id: filter.message_id.clone(),
            to: filter.to.clone(),
            reply_to: filter.reply_to.clone(),
            subject: filter.label.clone(),
            session_id: filter.session_id.clone(),
            reply_to_session_id: filter.reply_to_session_id.clone(),
            content_type: filter.content_type.clone(),
            properties: properties.collect(),
        })));
    }
    match p.filter_type.as_deref() {
        Some("True" | "TrueFilter") | None => Ok(Rule::True),
        Some("False" | "FalseFilter") => Ok(Rule::False),
        Some(other) => Err(format!("FilterType '{other}' without its filter")),
    }
}

#[cfg(test)]
mod tests;
