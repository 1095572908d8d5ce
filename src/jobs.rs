//! `Amqp1\Jobs`.

use std::rc::Rc;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::{ClassFlags, DataType};
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::{ce, ClassEntry};

use crate::args::{Configuration, Text};
use crate::boundary::{construct, run, Fail};
use crate::config;
use crate::consumer::FOR_EVER;
use crate::convert::Parameter;
use crate::engine::guarded;
use crate::interrupt::blocking;
use crate::queue::{figures, internal, AmqpQueue};

/// The pipelines of a configuration.
#[php_class]
#[php(name = "Amqp1\\Jobs")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::aggregate, stub = "\\IteratorAggregate"))]
#[php(implements(ce = ce::countable, stub = "\\Countable"))]
#[derive(Debug)]
pub struct Jobs {
    /// Cloned for each call: a signal handler may call any method while one blocks.
    jobs: Rc<amqp1_core::Jobs>,
}

impl Jobs {
    /// The pipelines of a `Jobs` object; `None` for anything else.
    pub fn of(value: &Zval) -> Option<Rc<amqp1_core::Jobs>> {
        let object = value.dereference().object()?;
        let jobs = ZendClassObject::<Jobs>::from_zend_obj(object)?;
        Some(Rc::clone(&jobs.jobs))
    }

    fn queue(&self, method: &'static str, pipeline: Text<'_>) -> Result<AmqpQueue, Fail> {
        let parameter = Parameter::of(method, 1, "pipeline", "string");
        let name = parameter.text(pipeline.get())?;
        let queue = self.jobs.queue(&name);
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
                "{method}: no pipelines: name at least one"
            )));
        }
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let done = self.jobs.set_paused(&names, paused);
        Ok(done.map_err(|error| error.context(method))?)
    }
}

/// An `ArrayIterator`, as the interface of all iterators.
#[derive(Debug)]
pub struct Pipelines(Zval);

impl IntoZval for Pipelines {
    const TYPE: DataType = DataType::object("Iterator");
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0;
        Ok(())
    }
}

#[php_impl]
impl Jobs {
    /// Reads and checks the configuration.
    pub fn __construct(config: Configuration<'_>) -> PhpResult<Self> {
        const METHOD: &str = "Jobs::__construct()";
        construct(METHOD, || {
            let jobs = config::load(METHOD, config.get())?;
            Ok(Self {
                jobs: Rc::new(jobs),
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

    /// Has consumers leave pipelines alone.
    pub fn pause(&self, pipelines: &[Text<'_>]) -> PhpResult<()> {
        run(|| self.set_paused("Jobs::pause()", pipelines, true))
    }

    /// Has consumers serve them again.
    pub fn resume(&self, pipelines: &[Text<'_>]) -> PhpResult<()> {
        run(|| self.set_paused("Jobs::resume()", pipelines, false))
    }

    /// The figures of each pipeline.
    pub fn stats(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| {
            let jobs = Rc::clone(&self.jobs);
            // Each pipeline's own timeout bounds it.
            let all = blocking(FOR_EVER, |wait| jobs.stats(wait))?;
            let mut array = ZendHashTable::new();
            for (name, stats) in all {
                let stats = match stats {
                    Ok(stats) => figures(&stats)?,
                    Err(error) => no_figures(error.message())?,
                };
                array.insert(name, stats).map_err(internal)?;
            }
            Ok(array)
        })
    }

    /// Whether all brokers answer.
    pub fn is_available(&self) -> PhpResult<bool> {
        run(|| {
            let jobs = Rc::clone(&self.jobs);
            blocking(FOR_EVER, |wait| jobs.is_available(wait))
        })
    }

    /// How many pipelines there are.
    pub fn count(&self) -> i64 {
        i64::try_from(self.jobs.names().len()).unwrap_or(i64::MAX)
    }

    /// Pipeline name => queue.
    pub fn get_iterator(&self) -> PhpResult<Pipelines> {
        run(|| {
            let mut array = ZendHashTable::new();
            for name in self.jobs.names() {
                let queue = self.jobs.queue(name);
                let queue = queue.map_err(|error| error.context("Jobs::getIterator()"))?;
                array
                    .insert(name, AmqpQueue::from(queue))
                    .map_err(internal)?;
            }
            iterator(array).map(Pipelines)
        })
    }
}

fn iterator(array: ZBox<ZendHashTable>) -> Result<Zval, Fail> {
    let Some(class) = ClassEntry::try_find("ArrayIterator") else {
        return Err(Fail::config("PHP has no ArrayIterator"));
    };
    let mut values = Zval::new();
    values.set_hashtable(array);
    let object = ZendObject::new(class);
    guarded(|| object.try_call_method("__construct", vec![&values]))?.map_err(internal)?;
    object.into_zval(false).map_err(internal)
}

/// In the shape of figures: what could not be had, and why.
fn no_figures(error: &str) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    for name in [
        "active",
        "delayed",
        "ready",
        "reserved",
        "consumers",
        "broker",
    ] {
        array.insert(name, Zval::null()).map_err(internal)?;
    }
    array.insert("error", error).map_err(internal)?;
    Ok(array)
}
