//! The command-line arguments of this dialect.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::{QueueSettings, ServiceBus};

/// Their part of `--help`.
pub const HELP: &str = "\
With --dialect servicebus (docs/servicebus-emulator.md):

  --config PATH             queues and topics, as Microsoft's emulator has them in its Config.json
  --queue NAME              a queue; may be repeated
  --session-queue NAME      a queue that is received from by session; may be repeated
  --create-on-use           make queues and subscriptions at their first use
  --access-rule NAME:KEY    a rule whose key signs tokens; may be repeated
                            (default RootManageSharedAccessKey:SAS_KEY_VALUE)
  --no-tokens               let links in that have put no token
  --lock-duration SECONDS   of queues that --config does not name (default 60)
  --max-delivery-count N    of queues that --config does not name (default 10)
  --fault 'KIND …'          something that goes wrong (docs/faults.md); may be repeated
  --faults PATH             a file of these, one a line; read again at SIGHUP
  --timer NAME=SECONDS      no-token (20), no-link (60), links-gone (300), link-idle (600); 0 is never
";

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

/// The name of an argument without its `--`, if it belongs to this dialect.
pub fn known(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

/// The arguments of this dialect read so far.
#[derive(Debug)]
pub struct Arguments {
    /// Faults to inject at the start, one per line.
    pub faults: String,
    /// A file of faults, read again on SIGHUP.
    pub faults_file: Option<PathBuf>,
    settings: ServiceBus,
    /// The first of these arguments on the command line.
    first: Option<&'static str>,
    has_rules: bool,
    /// Queue names, each with whether the queue requires sessions.
    queues: Vec<(String, bool)>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            faults: String::new(),
            faults_file: None,
            settings: ServiceBus::strict(),
            first: None,
            has_rules: false,
            queues: Vec::new(),
        }
    }
}

impl Arguments {
    /// Reads an argument that is [`known`]; `value` reads its value.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the value. It never contains a key.
    pub fn take(
        &mut self,
        name: &'static str,
        mut value: impl FnMut() -> Result<String, String>,
    ) -> Result<(), String> {
        self.first.get_or_insert(name);
        let settings = &mut self.settings;
        match name {
            "create-on-use" => settings.create_on_use = true,
            "no-tokens" => settings.require_token = false,
            "config" => self.take_config(&value()?)?,
            "fault" => {
                self.faults.push_str(&value()?);
                self.faults.push('\n');
            }
            "faults" => self.faults_file = Some(value()?.into()),
            "queue" => self.queues.push((value()?, false)),
            "session-queue" => self.queues.push((value()?, true)),
            "access-rule" => self.take_access_rule(&value()?)?,
            "lock-duration" => {
                let time = duration("--lock-duration", &value()?)?;
                if time.is_zero() {
                    return Err("--lock-duration: must be more than 0".to_owned());
                }
                settings.new_queue.lock_duration = time;
            }
            "max-delivery-count" => {
                let value = value()?;
                settings.new_queue.max_delivery_count = match value.parse() {
                    Ok(0) => return Err("--max-delivery-count: must be more than 0".to_owned()),
                    Ok(n) => n,
                    Err(_) => {
                        return Err(format!(
                            "--max-delivery-count: '{value}' is no number it can be"
                        ))
                    }
                };
            }
            _ => self.take_timer(&value()?)?,
        }
        Ok(())
    }

    fn take_config(&mut self, path: &str) -> Result<(), String> {
        let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
        // The emulator's file may begin with a byte order mark.
        read.and_then(|json| {
            self.settings
                .add_config(json.trim_start_matches('\u{feff}'))
        })
        .map_err(|e| format!("--config: {path}: {e}"))
    }

    fn take_access_rule(&mut self, rule: &str) -> Result<(), String> {
        // The message does not repeat the value, because it contains a key.
        let (name, key) = rule
            .split_once(':')
            .filter(|(name, key)| !name.is_empty() && !key.is_empty())
            .ok_or("--access-rule: the value is not NAME:KEY")?;
        if !std::mem::replace(&mut self.has_rules, true) {
            self.settings.access_rules.clear();
        }
        let rule = (name.to_owned(), key.to_owned());
        self.settings.access_rules.push(rule);
        Ok(())
    }

    fn take_timer(&mut self, value: &str) -> Result<(), String> {
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
        Ok(())
    }

    /// The first of these arguments on the command line.
    pub fn first(&self) -> Option<&'static str> {
        self.first
    }

    /// Builds the settings.
    ///
    /// # Errors
    /// A sentence about an entity that forwards to one that does not exist.
    pub fn settings(mut self, max_message_size: Option<u64>) -> Result<ServiceBus, String> {
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
        Ok(self.settings)
    }
}

/// A duration in seconds, which may have a fraction.
fn duration(name: &str, seconds: &str) -> Result<Duration, String> {
    seconds
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{name}: '{seconds}' is no number of seconds"))
}
