//! The options of `--dialect servicebus`.

use std::path::PathBuf;
use std::time::Duration;

use amqp1_broker::servicebus::settings::{QueueSettings, ServiceBus};
use lexopt::prelude::Long;

use super::value;

/// Faults to begin with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// One a line.
    pub(crate) said: String,
    /// A file of them, read again at SIGHUP.
    pub(crate) file: Option<PathBuf>,
}

/// What was said for the dialect.
#[derive(Debug)]
pub(super) struct Said {
    settings: ServiceBus,
    /// The first option that only the dialect has.
    first: Option<&'static str>,
    has_rules: bool,
    faults: Faults,
    /// Queues by name, and whether they are received from by session.
    queues: Vec<(String, bool)>,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            settings: ServiceBus::strict(),
            first: None,
            has_rules: false,
            faults: Faults::default(),
            queues: Vec::new(),
        }
    }
}

/// The options this file reads.
const NAMES: [&str; 11] = [
    "fault",
    "faults",
    "config",
    "queue",
    "session-queue",
    "access-rule",
    "create-on-use",
    "no-tokens",
    "lock-duration",
    "max-delivery-count",
    "timer",
];

/// The option's name if it is one of the dialect's.
pub(super) fn option(arg: &lexopt::Arg<'_>) -> Option<&'static str> {
    let Long(name) = *arg else {
        return None;
    };
    NAMES.into_iter().find(|known| *known == name)
}

impl Said {
    /// Reads the value of an option of the dialect.
    pub(super) fn read(
        &mut self,
        name: &'static str,
        parser: &mut lexopt::Parser,
    ) -> Result<(), String> {
        self.first.get_or_insert(name);
        match name {
            "config" => {
                let path = value(parser)?;
                let read = std::fs::read_to_string(&path).map_err(|e| e.to_string());
                // The emulator's file may begin with a byte order mark.
                read.and_then(|json| {
                    self.settings
                        .add_config(json.trim_start_matches('\u{feff}'))
                })
                .map_err(|e| format!("--config: {path}: {e}"))?;
            }
            "fault" => {
                self.faults.said.push_str(&value(parser)?);
                self.faults.said.push('\n');
            }
            "faults" => self.faults.file = Some(value(parser)?.into()),
            "queue" => self.queues.push((value(parser)?, false)),
            "session-queue" => self.queues.push((value(parser)?, true)),
            "access-rule" => {
                let rule = value(parser)?;
                // The value has a key: it is not repeated in the message.
                let (name, key) = rule
                    .split_once(':')
                    .filter(|(name, key)| !name.is_empty() && !key.is_empty())
                    .ok_or("--access-rule: the value is not NAME:KEY")?;
                if !std::mem::replace(&mut self.has_rules, true) {
                    self.settings.access_rules.clear();
                }
                let rule = (name.to_owned(), key.to_owned());
                self.settings.access_rules.push(rule);
            }
            "create-on-use" => self.settings.create_on_use = true,
            "no-tokens" => self.settings.require_token = false,
            "lock-duration" => {
                let time = duration("--lock-duration", &value(parser)?)?;
                if time.is_zero() {
                    return Err("--lock-duration: must be more than 0".to_owned());
                }
                self.settings.new_queue.lock_duration = time;
            }
            "max-delivery-count" => {
                let n: u32 = super::number(parser, "--max-delivery-count")?;
                if n == 0 {
                    return Err("--max-delivery-count: must be more than 0".to_owned());
                }
                self.settings.new_queue.max_delivery_count = n;
            }
            _ => {
                let value = value(parser)?;
                let (name, time) = value
                    .split_once('=')
                    .ok_or_else(|| format!("--timer: '{value}' is not NAME=SECONDS"))?;
                let time = duration("--timer", time)?;
                let timers = &mut self.settings.timers;
                match name {
                    "no-token" => timers.no_token = time,
                    "no-link" => timers.no_link = time,
                    "links-gone" => timers.links_gone = time,
                    "link-idle" => timers.link_idle = time,
                    _ => {
                        return Err(format!(
                            "--timer: '{name}' is none of no-token, no-link, links-gone, link-idle"
                        ))
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The settings, when the dialect is asked for.
    pub(super) fn settings(
        mut self,
        is_asked_for: bool,
        max_message_size: Option<u64>,
    ) -> Result<Option<ServiceBus>, String> {
        if !is_asked_for {
            return match self.first {
                Some(name) => Err(format!("--{name} needs --dialect servicebus")),
                None => Ok(None),
            };
        }
        for (name, requires_session) in self.queues {
            let queue = QueueSettings {
                requires_session,
                ..self.settings.new_queue.clone()
            };
            self.settings.queues.push((name, queue));
        }
        self.settings.check_forwards()?;
        if let Some(size) = max_message_size {
            self.settings.max_message_size = size;
        }
        Ok(Some(self.settings))
    }
}

/// Seconds, with a fraction if need be.
fn duration(name: &str, seconds: &str) -> Result<Duration, String> {
    seconds
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{name}: '{seconds}' is no number of seconds"))
}
