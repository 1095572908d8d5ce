//! The structure of the file. Unknown names are ignored: they concern only Microsoft's emulator
//! (`Logging`) or belong to a later version of it.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    pub(super) user_config: UserConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserConfig {
    #[serde(default)]
    pub(super) namespaces: Vec<Namespace>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Namespace {
    #[serde(default)]
    pub(super) queues: Vec<Queue>,
    #[serde(default)]
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Queue {
    pub(super) name: String,
    #[serde(default)]
    pub(super) properties: QueueProperties,
}

/// Properties of a queue or a subscription.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct QueueProperties {
    pub(super) dead_lettering_on_message_expiration: bool,
    pub(super) default_message_time_to_live: Option<String>,
    pub(super) duplicate_detection_history_time_window: Option<String>,
    pub(super) forward_dead_lettered_messages_to: Option<String>,
    pub(super) forward_to: Option<String>,
    pub(super) lock_duration: Option<String>,
    pub(super) max_delivery_count: Option<u32>,
    pub(super) max_size_in_megabytes: Option<u64>,
    pub(super) requires_duplicate_detection: bool,
    pub(super) requires_session: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Topic {
    pub(super) name: String,
    #[serde(default)]
    pub(super) properties: TopicProperties,
    #[serde(default)]
    pub(super) subscriptions: Vec<Subscription>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TopicProperties {
    pub(super) default_message_time_to_live: Option<String>,
    pub(super) duplicate_detection_history_time_window: Option<String>,
    pub(super) requires_duplicate_detection: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Subscription {
    pub(super) name: String,
    #[serde(default)]
    pub(super) properties: QueueProperties,
    #[serde(default)]
    pub(super) rules: Vec<FileRule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FileRule {
    pub(super) name: String,
    pub(super) properties: RuleProperties,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RuleProperties {
    pub(super) filter_type: Option<String>,
    pub(super) correlation_filter: Option<CorrelationFilter>,
    pub(super) sql_filter: Option<SqlFilter>,
    pub(super) action: Option<SqlFilter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CorrelationFilter {
    pub(super) content_type: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) label: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) reply_to_session_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) to: Option<String>,
    pub(super) properties: BTreeMap<String, serde_json::Value>,
}

/// The expression of a filter or an action.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SqlFilter {
    pub(super) sql_expression: String,
}
