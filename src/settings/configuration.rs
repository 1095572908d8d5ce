//! Loads a configuration: an array, a path, or the default from php.ini or the environment.

use std::cell::RefCell;
use std::collections::HashSet;
use std::os::unix::ffi::OsStringExt;

use amqp1_core::PerProcess;
use ext_php_rs::error::php_error;
use ext_php_rs::flags::ErrorType;
use ext_php_rs::types::Zval;

use super::{default_options, ini};
use crate::convert::{self, Parameter};
use crate::engine::{environment, guarded};
use crate::fail::Fail;

/// The environment variable with the path of the default configuration.
const VARIABLE: &str = "AMQP1_CONFIG";

/// Warnings that this process has already emitted.
static SAID: PerProcess<HashSet<String>> = PerProcess::new();

/// More warnings come not from a configuration, but from a program that keeps making new ones.
const MAX_SAID: usize = 1000;

/// Loads the pipelines of `configuration`, an array or a path; without one, those of the default.
///
/// # Errors
/// A missing or invalid configuration; an exception that a PHP error handler throws at a warning.
pub fn load(method: &'static str, configuration: Option<&Zval>) -> Result<amqp1_core::Jobs, Fail> {
    let environment = PhpEnvironment::default();
    let lookup = |name: &str| environment.get(name);
    let in_call = |fail: Fail| match fail {
        Fail::Core(error) => Fail::Core(error.context(method)),
        other => other,
    };
    let jobs = match configuration.and_then(Zval::array) {
        Some(array) => {
            let input = convert::configuration(array, &["amqp1", "jobs"]).map_err(in_call)?;
            amqp1_core::Jobs::new(&input, &lookup, &default_options())
        }
        None => {
            let path = match configuration {
                Some(value) => Some(path_of(method, value)?),
                None => default_path()?,
            };
            let path = path.ok_or_else(|| Fail::config(format!(
                "{method}: no configuration given: pass an array or the path of a YAML or JSON file to Jobs, set amqp1.config in php.ini, or {VARIABLE} in the environment"
            )))?;
            check_open_basedir(&path).map_err(in_call)?;
            amqp1_core::Jobs::load(&path, &lookup, &default_options())
        }
    };
    environment.outcome()?;
    let jobs = jobs.map_err(|error| error.context(method))?;
    warn_once(jobs.warnings())?;
    Ok(jobs)
}

/// The pipelines of `jobs`, and one more.
///
/// # Errors
/// As [`load`]; a pipeline of that name, or of another driver.
pub fn with(
    method: &'static str,
    jobs: &amqp1_core::Jobs,
    name: &str,
    pipeline: &Zval,
) -> Result<amqp1_core::Jobs, Fail> {
    let environment = PhpEnvironment::default();
    let path = format!("{method}: jobs.pipelines.{name}");
    let pipeline = convert::pipeline(pipeline, &path)?;
    let added = jobs.with(name, &pipeline, &|name: &str| environment.get(name));
    environment.outcome()?;
    let added = added.map_err(|error| error.context(method))?;
    warn_once(added.warnings())?;
    Ok(added)
}

fn path_of(method: &'static str, value: &Zval) -> Result<String, Fail> {
    let parameter = Parameter::of(method, 1, "config", "array|string|null");
    Ok(parameter.text(Some(value))?.into_owned())
}

/// Enforces `open_basedir`.
fn check_open_basedir(path: &str) -> Result<(), Fail> {
    // The core refuses values that are not paths.
    if path.contains("://") || environment::open_basedir_allows(path)? {
        return Ok(());
    }
    Err(Fail::config(format!(
        "{path}: open_basedir does not allow this path"
    )))
}

/// The path of the default configuration. The environment takes precedence over php.ini, because a
/// deployment must be able to override the settings of an image.
///
/// # Errors
/// [`Fail::Bailout`].
pub fn default_path() -> Result<Option<String>, Fail> {
    let environment = PhpEnvironment::default();
    let path = environment.get(VARIABLE).filter(|path| !path.is_empty());
    environment.outcome()?;
    let path = path.map(|path| String::from_utf8_lossy(&path).into_owned());
    Ok(path.or_else(ini::config))
}

/// Emits the warnings that this process has not emitted yet.
fn warn_once(warnings: &[String]) -> Result<(), Fail> {
    for warning in warnings {
        let is_new = {
            let is_new =
                |said: &mut HashSet<String>| said.len() < MAX_SAID && said.insert(warning.clone());
            SAID.with(|parents| parents.cloned().unwrap_or_default(), is_new)
        };
        // The lock is released by now: an error handler may load a configuration itself.
        if is_new {
            guarded(|| php_error(&ErrorType::Warning, warning))?;
        }
    }
    Ok(())
}

/// The process's environment, then `$_ENV` and `$_SERVER`, into which frameworks load `.env` files.
/// Request headers in `$_SERVER` (`HTTP_*`) are excluded.
#[derive(Default)]
struct PhpEnvironment {
    failed: RefCell<Option<Fail>>,
}

impl PhpEnvironment {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        if let Some(value) = std::env::var_os(name) {
            return Some(value.into_vec());
        }
        if name.starts_with("HTTP_") || self.failed.borrow().is_some() {
            return None;
        }
        match environment::superglobal("_ENV", name) {
            Ok(None) => environment::superglobal("_SERVER", name),
            found => found,
        }
        .unwrap_or_else(|fail| {
            *self.failed.borrow_mut() = Some(fail);
            None
        })
    }

    /// The failure that ended a lookup, if any.
    fn outcome(&self) -> Result<(), Fail> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
