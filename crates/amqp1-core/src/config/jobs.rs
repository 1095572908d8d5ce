//! The pipelines of a configuration, as queues.

use std::time::Duration;

use crate::base::wait::Wait;
use crate::config::section::{self, foreign_pipeline, unknown_pipeline, Sections};
use crate::config::{file, Environment};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::{Queue, QueueStats};
use crate::settings::input::Input;
use crate::settings::options::QueueOptions;

/// Pipelines by name.
#[derive(Debug)]
pub struct Jobs {
    sections: Sections,
}

impl Jobs {
    /// Checks a configuration. Sections other than `amqp1` and `jobs` are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the key.
    pub fn new(
        configuration: &Input,
        environment: &dyn Environment,
        defaults: &QueueOptions,
    ) -> Result<Self> {
        let sections = section::read(configuration, environment, defaults)?;
        Ok(Self { sections })
    }

    /// [`Jobs::new`] for a YAML or JSON file, which is parsed again only if it has changed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the file, and of the key.
    pub fn load(
        path: &str,
        environment: &dyn Environment,
        defaults: &QueueOptions,
    ) -> Result<Self> {
        let configuration = file::read(path)?;
        let mut jobs = Self::new(&configuration, environment, defaults)
            .map_err(|error| error.context(path))?;
        for warning in &mut jobs.sections.warnings {
            *warning = format!("{path}: {warning}");
        }
        Ok(jobs)
    }

    /// These pipelines and one more: `pipeline` is read as one of the configuration is, with its
    /// address and options. The queues of the others are the same ones. The warnings are those
    /// about the new pipeline.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the key; if there is such a pipeline, if it belongs to
    /// another driver, and as [`Jobs::queue`].
    pub fn with(
        &self,
        name: &str,
        pipeline: &Input,
        environment: &dyn Environment,
    ) -> Result<Self> {
        let sections = self.sections.with(name, pipeline, environment)?;
        let jobs = Self { sections };
        jobs.queue(name)?;
        Ok(jobs)
    }

    /// Warnings about keys that have no effect, each once.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.sections.warnings
    }

    /// The names of the pipelines, in the configuration's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sections.pipelines.iter().map(|one| one.name.as_str())
    }

    /// The queue of a pipeline, the same one each time.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is no such pipeline (the message suggests the nearest name),
    /// if it belongs to another driver, if it has no address, or if its TLS files cannot be used.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        let mut pipelines = self.sections.pipelines.iter();
        if let Some(pipeline) = pipelines.find(|pipeline| pipeline.name == name) {
            return pipeline.queue();
        }
        let mut others = self.sections.others.iter();
        if let Some((_, driver)) = others.find(|(other, _)| other == name) {
            return Err(Error::config(foreign_pipeline(name, driver)));
        }
        let names: Vec<&str> = self.names().collect();
        Err(Error::config(unknown_pipeline(name, &names)))
    }

    /// All queues, in the configuration's order.
    ///
    /// # Errors
    /// As [`Jobs::queue`].
    pub fn queues(&self) -> Result<Vec<Queue>> {
        self.names().map(|name| self.queue(name)).collect()
    }

    /// The queues to consume from: those in `jobs.consume` that belong to this driver, or all
    /// queues if that key is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there are none, and as [`Jobs::queue`].
    pub fn consumed(&self) -> Result<Vec<Queue>> {
        let Some(consume) = &self.sections.consume else {
            let queues = self.queues()?;
            if queues.is_empty() {
                return Err(Error::config(
                    "the configuration defines no pipelines with the driver 'amqp1' (jobs.pipelines)",
                ));
            }
            return Ok(queues);
        };
        let is_ours = |name: &&String| self.names().any(|ours| ours == name.as_str());
        let mut names: Vec<&String> = Vec::new();
        for name in consume.iter().filter(is_ours) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(Error::config(
                "jobs.consume names no pipeline with the driver 'amqp1'",
            ));
        }
        names.into_iter().map(|name| self.queue(name)).collect()
    }

    /// Pauses or resumes pipelines. Consumers of a paused pipeline's queue request no more of its
    /// jobs, and return those that no worker has seen.
    ///
    /// # Errors
    /// As [`Jobs::queue`]; then nothing changes.
    pub fn set_paused(&self, names: &[&str], paused: bool) -> Result<()> {
        let queues = names.iter().map(|name| self.queue(name));
        for queue in queues.collect::<Result<Vec<_>>>()? {
            queue.set_paused(paused);
        }
        Ok(())
    }

    /// Whether a pipeline is paused.
    ///
    /// # Errors
    /// As [`Jobs::queue`].
    pub fn is_paused(&self, name: &str) -> Result<bool> {
        self.queue(name).map(|queue| queue.is_paused())
    }

    /// The figures of each pipeline, or why they are unavailable. An unreachable broker is
    /// contacted only once.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`].
    pub fn stats(&self, wait: &Wait<'_>) -> Result<Vec<(&str, Result<QueueStats>)>> {
        let mut unreachable: Vec<(String, Error)> = Vec::new();
        let mut all = Vec::new();
        for name in self.names() {
            let stats = self.queue(name).and_then(|queue| {
                let known = unreachable.iter().find(|(at, _)| at == queue.endpoint());
                if let Some((_, error)) = known {
                    return Err(error.clone());
                }
                let stats = queue.stats(&wait.restarted(queue.timeout()));
                if let Err(error) = &stats {
                    if is_unreachable(error) {
                        unreachable.push((queue.endpoint().to_owned(), error.clone()));
                    }
                }
                stats
            });
            match stats {
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                stats => all.push((name, stats)),
            }
        }
        Ok(all)
    }

    /// Whether there are pipelines and all their brokers respond.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`].
    pub fn is_available(&self, wait: &Wait<'_>) -> Result<bool> {
        let mut reached: Vec<String> = Vec::new();
        for name in self.names() {
            let Ok(queue) = self.queue(name) else {
                return Ok(false);
            };
            if reached.iter().any(|at| at == queue.endpoint()) {
                continue;
            }
            match queue.ping(&wait.restarted(queue.timeout())) {
                Ok(_) => reached.push(queue.endpoint().to_owned()),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(!reached.is_empty())
    }

    /// The longest timeout among the pipelines.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let timeouts = self
            .sections
            .pipelines
            .iter()
            .map(|one| one.options.timeout);
        timeouts.max().unwrap_or_default()
    }
}

fn is_unreachable(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Authentication
    )
}
