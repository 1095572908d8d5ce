//! The sections `amqp1` and `jobs`, checked key by key.

use std::fmt;
use std::rc::Rc;

use crate::brokers;
use crate::config::address::Address;
use crate::config::expand::{expand, retype, Environment};
use crate::config::honour;
use crate::config::pipeline::Pipeline;
use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::settings::options::{DialectOption, QueueOptions, TlsOptions};
use crate::settings::place::Place;
use crate::settings::suggest;

/// The driver's name in `jobs.pipelines.NAME.driver`.
const DRIVER: &str = "amqp1";

/// RoadRunner's own drivers, whose names are not typing mistakes.
const OTHER_DRIVERS: [&str; 9] = [
    "amqp",
    "beanstalk",
    "boltdb",
    "google_pub_sub",
    "kafka",
    "memory",
    "nats",
    "sqs",
    "redis",
];

/// Keys of RoadRunner's `jobs`. Those of its server and its workers have no effect here.
const JOBS_KEYS: [&str; 7] = [
    "consume",
    "pipelines",
    "num_pollers",
    "options",
    "pipeline_size",
    "pool",
    "timeout",
];

/// The keys of a pipeline itself.
const PIPELINE_KEYS: [&str; 2] = ["driver", "config"];

/// Keys of RoadRunner's 0-9-1 driver. With the given value, they request what happens anyway; with
/// any other value, they have no effect.
const AMQP_KEYS: [(&str, Option<bool>); 7] = [
    ("consume_all", None),
    ("consumer_id", None),
    ("delete_queue_on_stop", Some(false)),
    ("exchange_auto_delete", Some(false)),
    ("exchange_durable", Some(true)),
    ("multiple_ack", None),
    ("queue_auto_delete", Some(false)),
];

/// A checked configuration.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub pipelines: Vec<Rc<Pipeline>>,
    /// Pipelines of other drivers, each with its driver.
    pub others: Vec<(String, String)>,
    /// `None` if the key is missing.
    pub consume: Option<Vec<String>>,
    /// Warnings about keys that have no effect.
    pub warnings: Vec<String>,
    common: Rc<Common>,
}

/// What all pipelines start from.
struct Common {
    address: Option<Address>,
    /// The options of the section `amqp1`.
    globals: Input,
    defaults: QueueOptions,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            address: None,
            globals: Input::Map(Vec::new()),
            defaults: QueueOptions::default(),
        }
    }
}

impl fmt::Debug for Common {
    // The address may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}

struct Reader<'a> {
    environment: &'a dyn Environment,
    sections: Sections,
}

/// Reads the sections of a whole configuration; all others belong to RoadRunner.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with the path of the key.
pub(super) fn read(
    root: &Input,
    environment: &dyn Environment,
    defaults: &QueueOptions,
) -> Result<Sections> {
    let sections = entries(root, "the configuration")?;
    let (amqp1, jobs) = (section(sections, "amqp1")?, section(sections, "jobs")?);
    if amqp1.is_none() && jobs.is_none() {
        return Err(Error::config(
            "the configuration has neither 'amqp1' nor 'jobs'",
        ));
    }
    let mut reader = Reader {
        environment,
        sections: Sections::default(),
    };
    let (address, globals) = reader.connection(amqp1)?;
    let common = Common {
        address,
        globals,
        defaults: defaults.clone(),
    };
    if let Some(jobs) = jobs {
        reader.jobs(jobs, &common)?;
    }
    reader.sections.common = Rc::new(common);
    Ok(reader.sections)
}

/// One of our sections. An error if it is missing and another section has nearly the same name.
fn section<'a>(entries: &'a [(String, Input)], name: &'static str) -> Result<Option<&'a Input>> {
    if let Some((_, value)) = entries.iter().find(|(key, _)| key == name) {
        return Ok(Some(value));
    }
    // "amqp" is the section of RoadRunner's 0-9-1 driver.
    let mistyped = |key: &str| key != "amqp" && suggest::nearest(key, &[name]).is_some();
    match entries.iter().find(|(key, _)| mistyped(key)) {
        Some((key, _)) => Err(Error::config(format!(
            "{key}: unknown key, did you mean '{name}'?"
        ))),
        None => Ok(None),
    }
}

fn entries<'a>(input: &'a Input, path: &str) -> Result<&'a [(String, Input)]> {
    let entries = match input {
        Input::Null => &[],
        // The message does not repeat the value, which may be an address.
        Input::Text(_) => {
            return Err(Error::config(format!(
                "{path}: expected an array of name => value, got a string"
            )))
        }
        other => other.map(path)?,
    };
    if entries.iter().any(|(key, _)| key.contains("://")) {
        return Err(Error::config(format!(
            "{path}: expected an array of name => value, got an address as a key"
        )));
    }
    Ok(entries)
}

impl Reader<'_> {
    fn expand(&self, value: &Input, path: &str) -> Result<Input> {
        expand(value, path, self.environment)
    }

    /// The section `amqp1`: the address, and options for all pipelines.
    fn connection(&mut self, amqp1: Option<&Input>) -> Result<(Option<Address>, Input)> {
        let (mut address, mut options) = (None, Vec::new());
        let known = option_names(&["addr"], &["name", "routing_key"]);
        for (key, value) in entries(amqp1.unwrap_or(&Input::Null), "amqp1")? {
            let path = format!("amqp1.{key}");
            if !known.contains(&key.as_str()) {
                return Err(Error::config(Place::Key("amqp1").unknown(key, &known)));
            }
            match key.as_str() {
                "addr" => address = self.address(value, path)?,
                _ => options.push((key.clone(), self.option(key, value, &path)?)),
            }
        }
        let options = Input::Map(options);
        // Checked even if no pipeline uses it.
        let checked = QueueOptions::default().apply(Place::Key("amqp1"), &options)?;
        if let Some(address) = &address {
            let query = address.options(QueueOptions::default())?;
            let tls = match checked.tls == TlsOptions::default() {
                true => query.tls,
                false => checked.tls,
            };
            let dialect = match checked.dialect {
                DialectOption::Auto => query.dialect,
                own => own,
            };
            let checked = QueueOptions {
                tls,
                dialect,
                ..checked
            };
            address.endpoint(&checked)?;
        }
        Ok((address, options))
    }

    fn option(&self, key: &str, value: &Input, path: &str) -> Result<Input> {
        let expanded = self.expand(value, path)?;
        Ok(match key {
            "arguments" | "bindings" => retype(value, expanded),
            _ => expanded,
        })
    }

    fn address(&self, value: &Input, path: String) -> Result<Option<Address>> {
        Address::read(self.expand(value, &path)?, path)
    }

    fn jobs(&mut self, jobs: &Input, common: &Common) -> Result<()> {
        let mut consume = None;
        for (key, value) in entries(jobs, "jobs")? {
            match key.as_str() {
                "consume" => consume = self.consume(value)?,
                "pipelines" => {
                    for (name, value) in entries(value, "jobs.pipelines")? {
                        self.pipeline(name, value, common)?;
                    }
                }
                key if JOBS_KEYS.contains(&key) => {}
                key => return Err(Error::config(Place::Key("jobs").unknown(key, &JOBS_KEYS))),
            }
        }
        if let Some(consume) = &consume {
            for (at, name) in consume.iter().enumerate() {
                let path = format!("jobs.consume[{at}]");
                self.sections
                    .check(name)
                    .map_err(|error| error.context(path))?;
            }
        }
        self.sections.consume = consume;
        Ok(())
    }

    fn consume(&self, value: &Input) -> Result<Option<Vec<String>>> {
        let path = "jobs.consume";
        match self.expand(value, path)? {
            Input::Null => Ok(None),
            Input::List(items) => {
                let names = items.iter().enumerate();
                let names = names.map(|(at, item)| item.text(&format!("{path}[{at}]")));
                names.collect::<Result<_>>().map(Some)
            }
            Input::Map(_) => Err(Error::config(format!(
                "{path}: expected a list of pipelines, got an array of name => value"
            ))),
            name => Ok(Some(vec![name.text(path)?])),
        }
    }

    fn pipeline(&mut self, name: &str, value: &Input, common: &Common) -> Result<()> {
        if name.is_empty() {
            return Err(Error::config(
                "jobs.pipelines: a pipeline's name must not be empty",
            ));
        }
        let path = format!("jobs.pipelines.{name}");
        let pairs = entries(value, &path)?;
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        if let Some(driver) = get("driver") {
            let driver_path = format!("{path}.driver");
            match self.expand(driver, &driver_path)? {
                Input::Null => {}
                driver => {
                    let driver = driver.text(&driver_path)?;
                    if driver != DRIVER {
                        return self.other(name, driver, &driver_path);
                    }
                }
            }
        }
        if let Some((key, _)) = pairs
            .iter()
            .find(|(key, _)| !PIPELINE_KEYS.contains(&key.as_str()))
        {
            return Err(Error::config(
                match key.as_str() == "queue" || QueueOptions::NAMES.contains(&key.as_str()) {
                    true => format!("{path}.{key}: belongs under {path}.config"),
                    false => Place::Key(&path).unknown(key, &PIPELINE_KEYS),
                },
            ));
        }
        let config = get("config").unwrap_or(&Input::Null);
        let pipeline = self.configured(name, &format!("{path}.config"), config, common)?;
        self.sections.pipelines.push(Rc::new(pipeline));
        Ok(())
    }

    /// RoadRunner serves the pipelines of other drivers.
    fn other(&mut self, name: &str, driver: String, path: &str) -> Result<()> {
        let is_known = OTHER_DRIVERS.contains(&driver.as_str());
        if !is_known && suggest::nearest(&driver, &[DRIVER]).is_some() {
            return Err(Error::config(format!(
                "{path}: unknown driver '{driver}', did you mean '{DRIVER}'?"
            )));
        }
        self.sections.others.push((name.to_owned(), driver));
        Ok(())
    }

    fn configured(
        &mut self,
        name: &str,
        path: &str,
        config: &Input,
        common: &Common,
    ) -> Result<Pipeline> {
        let (global, globals) = (common.address.as_ref(), &common.globals);
        let defaults = &common.defaults;
        let known = option_names(&["queue", "addr"], &["name"]);
        let (mut queue, mut own, mut options) = (None, None, Vec::new());
        for (key, value) in entries(config, path)? {
            let key_path = format!("{path}.{key}");
            match key.as_str() {
                "queue" => {
                    queue = match self.expand(value, &key_path)? {
                        Input::Null => None,
                        value => Some(queue_name(value.text(&key_path)?, &key_path)?),
                    }
                }
                "addr" => own = self.address(value, key_path)?,
                key if known.contains(&key) => {
                    options.push((key.to_owned(), self.option(key, value, &key_path)?));
                }
                key => self.foreign_key(key, value, path, &known)?,
            }
        }
        let queue = queue.unwrap_or_else(|| name.to_owned());
        let is_own_tls = options.iter().any(|(key, _)| key == "tls");
        let merge = |globals: &Input, options: Vec<(String, Input)>| {
            let globals_over = |options: QueueOptions| options.apply(Place::Key("amqp1"), globals);
            let merged = match (&own, global) {
                (Some(own), _) => own.options(globals_over(defaults.clone())?),
                (None, Some(global)) => globals_over(global.options(defaults.clone())?),
                (None, None) => globals_over(defaults.clone()),
            };
            merged?.apply(Place::Key(path), &Input::Map(options))
        };
        let mut merged = merge(globals, options.clone())?;
        merged.check().map_err(|error| error.context(path))?;
        let Some(address) = own.as_ref().or(global) else {
            return Ok(Pipeline::new(name, queue, None, merged));
        };
        let mut endpoint = address.endpoint(&merged)?;
        let dialect = brokers::presumed(&endpoint);
        if dialect.ignores().is_some() {
            let mut globals = entries(globals, "amqp1")?.to_vec();
            let mut warnings = honour::known(dialect, "amqp1", &queue, &mut globals);
            warnings.extend(honour::known(dialect, path, &queue, &mut options));
            warnings.into_iter().for_each(|one| self.warn(Some(one)));
            merged = merge(&Input::Map(globals), options)?;
            endpoint = address.endpoint(&merged)?;
        }
        let place = if is_own_tls { path } else { "amqp1" };
        let warning = honour::tls(address.is_encrypted(), place, &mut merged);
        // The global TLS files apply only to the global address.
        if is_own_tls || own.is_none() {
            self.warn(warning);
        }
        merged.check().map_err(|error| error.context(path))?;
        Ok(Pipeline::new(name, queue, Some(endpoint), merged))
    }

    /// Handles an unknown key, which may belong to RoadRunner's 0-9-1 driver.
    fn foreign_key(&mut self, key: &str, value: &Input, path: &str, known: &[&str]) -> Result<()> {
        let Some((_, as_done)) = AMQP_KEYS.iter().find(|(name, _)| *name == key) else {
            if key == "queue_headers" {
                return Err(Error::config(format!(
                    "{path}.{key}: is called 'arguments' here"
                )));
            }
            return Err(Error::config(Place::Key(path).unknown(key, known)));
        };
        if let Some(as_done) = as_done {
            let key_path = format!("{path}.{key}");
            let value = self.expand(value, &key_path)?;
            if value != Input::Null && value.bool(&key_path)? != *as_done {
                self.warn(Some(format!("{key_path}: has no effect with this driver")));
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: Option<String>) {
        let warnings = &mut self.sections.warnings;
        warnings.extend(warning.filter(|one| !warnings.contains(one)));
    }
}

impl Sections {
    /// These sections with one more pipeline, which is read as those of the configuration are.
    pub fn with(&self, name: &str, value: &Input, environment: &dyn Environment) -> Result<Self> {
        if self.check(name).is_ok() {
            return Err(Error::config(format!(
                "pipeline '{name}' already exists; choose another name"
            )));
        }
        let mut reader = Reader {
            environment,
            sections: Self::default(),
        };
        reader.pipeline(name, value, &self.common)?;
        let added = reader.sections;
        if let Some((name, driver)) = added.others.first() {
            return Err(Error::config(foreign_pipeline(name, driver)));
        }
        Ok(Self {
            pipelines: [self.pipelines.as_slice(), &added.pipelines].concat(),
            others: self.others.clone(),
            consume: self.consume.clone(),
            warnings: added.warnings,
            common: Rc::clone(&self.common),
        })
    }

    /// Checks that there is such a pipeline, of any driver.
    pub fn check(&self, name: &str) -> Result<()> {
        let ours = self.pipelines.iter().map(|pipeline| pipeline.name.as_str());
        let all: Vec<&str> = ours
            .chain(self.others.iter().map(|(name, _)| name.as_str()))
            .collect();
        if all.contains(&name) {
            return Ok(());
        }
        Err(Error::config(unknown_pipeline(name, &all)))
    }
}

/// For messages: why a pipeline has no queue.
pub(super) fn foreign_pipeline(name: &str, driver: &str) -> String {
    format!(
        "pipeline '{name}' has the driver '{driver}', which RoadRunner serves; this extension serves only 'amqp1'"
    )
}

/// For messages: the nearest pipeline's name, or all names.
pub(super) fn unknown_pipeline(name: &str, all: &[&str]) -> String {
    match suggest::nearest(name, all) {
        _ if all.is_empty() => {
            format!("unknown pipeline '{name}': the configuration defines none (jobs.pipelines)")
        }
        Some(near) => format!("unknown pipeline '{name}', did you mean '{near}'?"),
        None => format!(
            "unknown pipeline '{name}'; known pipelines: {}",
            all.join(", ")
        ),
    }
}

fn option_names(more: &[&'static str], without: &[&str]) -> Vec<&'static str> {
    let options = QueueOptions::NAMES.iter().copied();
    let options = options.filter(|name| !without.contains(name));
    more.iter().copied().chain(options).collect()
}

fn queue_name(name: String, path: &str) -> Result<String> {
    match name.len() {
        0 => Err(Error::config(format!("{path}: must not be empty"))),
        1..=255 => Ok(name),
        _ => Err(Error::config(format!(
            "{path}: must be at most 255 bytes long"
        ))),
    }
}

#[cfg(test)]
#[path = "section_tests.rs"]
mod tests;
