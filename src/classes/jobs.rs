//! `Amqp1\Jobs`.

mod pipelines;

use std::cell::RefCell;
use std::rc::Rc;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, Zval};
use ext_php_rs::zend::ce;

use super::queue::{figures, no_figures, AmqpQueue};
use crate::call::{blocking, construct, run, FOR_EVER};
use crate::convert::args::{Configuration, Pipeline, Text};
use crate::convert::Parameter;
use crate::fail::Fail;
use crate::settings::configuration;
use pipelines::Pipelines;

/// The pipelines of a configuration.
#[php_class]
#[php(name = "Amqp1\\Jobs")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::aggregate, stub = "\\IteratorAggregate"))]
#[php(implements(ce = ce::countable, stub = "\\Countable"))]
#[derive(Debug)]
pub struct Jobs {
    /// Cloned for each call: a signal handler may call any method while one blocks. Replaced when a
    /// pipeline is added.
    jobs: RefCell<Rc<amqp1_core::Jobs>>,
}

impl Jobs {
    /// The pipelines of a `Jobs` object; `None` for any other value.
    pub fn of(value: &Zval) -> Option<Rc<amqp1_core::Jobs>> {
        let object = value.dereference().object()?;
        let jobs = ZendClassObject::<Jobs>::from_zend_obj(object)?;
        Some(jobs.handle())
    }

    fn handle(&self) -> Rc<amqp1_core::Jobs> {
        Rc::clone(&self.jobs.borrow())
    }

    fn queue(&self, method: &'static str, pipeline: Text<'_>) -> Result<AmqpQueue, Fail> {
        let parameter = Parameter::of(method, 1, "pipeline", "string");
        let name = parameter.text(pipeline.get())?;
        let queue = self.handle().queue(&name);
        Ok(queue.map_err(|error| error.context(method))?.into())
    }

    fn set_paused(
        &self,
        method: &'static str,
        pipelines: &[Text<'_>],
        paused: bool,
    ) -> Result<(), Fail> {
        let names = pipelines.iter().zip(1..).map(|(pipeline, number)| {
            let parameter = Parameter::of(method, number, "pipelines", "string");
            parameter.text(pipeline.get())
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Err(Fail::config(format!(
                "{method}: name at least one pipeline"
            )));
        }
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let done = self.handle().set_paused(&names, paused);
        Ok(done.map_err(|error| error.context(method))?)
    }
}

#[php_impl]
impl Jobs {
    /// Reads and checks the configuration.
    pub fn __construct(config: Configuration<'_>) -> PhpResult<Self> {
        const METHOD: &str = "Jobs::__construct()";
        construct(METHOD, || {
            let jobs = configuration::load(METHOD, config.get())?;
            Ok(Self {
                jobs: RefCell::new(Rc::new(jobs)),
            })
        })
    }

    /// The queue of a pipeline.
    pub fn create(&self, pipeline: Text<'_>) -> PhpResult<AmqpQueue> {
        run(|| self.queue("Jobs::create()", pipeline))
    }

    /// The queue of a pipeline.
    pub fn connect(&self, pipeline: Text<'_>) -> PhpResult<AmqpQueue> {
        run(|| self.queue("Jobs::connect()", pipeline))
    }

    /// Adds a pipeline. Returns its queue.
    pub fn add(&self, name: Text<'_>, pipeline: Pipeline<'_>) -> PhpResult<AmqpQueue> {
        const METHOD: &str = "Jobs::add()";
        run(|| {
            let name = Parameter::of(METHOD, 1, "name", "string").text(name.get())?;
            let array = pipeline.get().filter(|value| value.array().is_some());
            let Some(array) = array else {
                let parameter = Parameter::of(METHOD, 2, "pipeline", "array");
                return Err(parameter.wrong_type(pipeline.get()));
            };
            // A warning can call PHP code that adds a pipeline, too.
            let added = loop {
                let before = self.handle();
                let added = configuration::with(METHOD, &before, &name, array)?;
                if Rc::ptr_eq(&before, &self.jobs.borrow()) {
                    break added;
                }
            };
            let queue = added.queue(&name).map_err(|error| error.context(METHOD))?;
            self.jobs.replace(Rc::new(added));
            Ok(queue.into())
        })
    }

    /// Makes consumers ignore these pipelines.
    pub fn pause(&self, pipelines: &[Text<'_>]) -> PhpResult<()> {
        run(|| self.set_paused("Jobs::pause()", pipelines, true))
    }

    /// Makes consumers serve these pipelines again.
    pub fn resume(&self, pipelines: &[Text<'_>]) -> PhpResult<()> {
        run(|| self.set_paused("Jobs::resume()", pipelines, false))
    }

    /// Whether consumers ignore this pipeline.
    pub fn is_paused(&self, pipeline: Text<'_>) -> PhpResult<bool> {
        const METHOD: &str = "Jobs::isPaused()";
        run(|| {
            let name = Parameter::of(METHOD, 1, "pipeline", "string").text(pipeline.get())?;
            let paused = self.handle().is_paused(&name);
            Ok(paused.map_err(|error| error.context(METHOD))?)
        })
    }

    /// The figures of each pipeline.
    pub fn stats(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| {
            let jobs = self.handle();
            // Each pipeline has its own timeout.
            let all = blocking(FOR_EVER, |wait| jobs.stats(wait))?;
            let mut array = ZendHashTable::new();
            for (name, stats) in all {
                let stats = match stats {
                    Ok(stats) => figures(&stats)?,
                    Err(error) => no_figures(error.message())?,
                };
                array.insert(name, stats).map_err(Fail::internal)?;
            }
            Ok(array)
        })
    }

    /// Whether all brokers respond.
    pub fn is_available(&self) -> PhpResult<bool> {
        run(|| {
            let jobs = self.handle();
            blocking(FOR_EVER, |wait| jobs.is_available(wait))
        })
    }

    /// The number of pipelines.
    pub fn count(&self) -> i64 {
        i64::try_from(self.handle().names().len()).unwrap_or(i64::MAX)
    }

    /// Iterates over pipeline name => queue.
    pub fn get_iterator(&self) -> PhpResult<Pipelines> {
        run(|| {
            let mut array = ZendHashTable::new();
            let jobs = self.handle();
            for name in jobs.names() {
                let queue = jobs.queue(name);
                let queue = queue.map_err(|error| error.context("Jobs::getIterator()"))?;
                array
                    .insert(name, AmqpQueue::from(queue))
                    .map_err(Fail::internal)?;
            }
            Pipelines::of(array)
        })
    }
}
