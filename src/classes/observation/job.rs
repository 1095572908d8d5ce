//! `Amqp1\Observation\Job`.

use std::rc::Rc;
use std::time::Instant;

use amqp1_core::{Delivery, Error};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::{ClassFlags, DataType};
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;

use super::observer::{RECEIVED, SETTLED};
use super::push::Thrown;
use crate::callbacks::{observers, watchers};
use crate::engine::garbage::Holder;
use crate::engine::{self, guarded};
use crate::exceptions;
use crate::fail::Fail;

/// A job that a worker has received or settled.
#[php_class]
#[php(name = "Amqp1\\Observation\\Job")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct Job {
    task: Zval,
    delivery: Rc<Delivery>,
    waited: Option<f64>,
    held: Option<f64>,
    seconds: Option<f64>,
    outcome: Option<&'static str>,
    error: Option<Error>,
}

impl Holder for Job {
    fn held(&self, report: &mut dyn FnMut(&Zval)) {
        report(&self.task);
    }
}

#[php_impl]
impl Job {
    /// The extension creates these objects; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err("Amqp1\\Observation\\Job cannot be created with new: observers are given one".into())
    }

    /// The job.
    pub fn get_task(&self) -> ItsTask {
        ItsTask(self.task.shallow_clone())
    }

    /// The endpoint, without secrets.
    pub fn get_endpoint(&self) -> String {
        self.delivery.endpoint().to_owned()
    }

    /// The broker's kind, as in `getBroker()`.
    pub fn get_broker(&self) -> String {
        self.delivery.dialect().to_owned()
    }

    /// The broker's name of the queue.
    pub fn get_destination(&self) -> String {
        self.delivery.broker_queue().to_owned()
    }

    /// How long the call waited for it; null when it is settled.
    pub fn get_waited(&self) -> Option<f64> {
        self.waited
    }

    /// How long its worker had it; null when it is received.
    pub fn get_held(&self) -> Option<f64> {
        self.held
    }

    /// How long settling it took; null when it is received.
    pub fn get_seconds(&self) -> Option<f64> {
        self.seconds
    }

    /// Its outcome, or `lost`; null when it is received.
    pub fn get_outcome(&self) -> Option<String> {
        self.outcome.map(str::to_owned)
    }

    /// Why settling it failed.
    pub fn get_error(&self) -> Thrown {
        Thrown(self.error.as_ref().map(exceptions::of))
    }
}

/// `Task`.
#[derive(Debug)]
pub struct ItsTask(Zval);

impl IntoZval for ItsTask {
    const TYPE: DataType = DataType::object("Amqp1\\Task");
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0;
        Ok(())
    }
}

/// Tells the observers that a worker receives a job.
///
/// # Errors
/// An observer called `exit()`, or ended in a fatal error.
pub fn received(delivery: &Rc<Delivery>, task: &Zval, waited: f64) -> Result<(), Fail> {
    tell(delivery, task, RECEIVED, |about| {
        about.waited = Some(waited);
    })
}

/// Settles a job of the running method's task, and tells the observers.
///
/// # Errors
/// Those of `settle`; an observer called `exit()`, or ended in a fatal error.
pub fn settled(
    delivery: &Rc<Delivery>,
    settle: impl FnOnce() -> Result<(), Fail>,
) -> Result<(), Fail> {
    if !watchers::are_there() || delivery.is_completed() {
        return settle();
    }
    let started = Instant::now();
    let done = settle();
    let seconds = started.elapsed().as_secs_f64();
    if matches!(done, Err(Fail::Bailout)) || !delivery.is_completed() {
        return done;
    }
    if let Some(task) = engine::this() {
        tell(delivery, &task, SETTLED, |about| {
            let outcome = delivery.outcome();
            about.outcome = Some(outcome.map_or("lost", |outcome| outcome.as_str()));
            about.seconds = Some(seconds);
            about.held = Some(delivery.held().as_secs_f64());
            if let Err(Fail::Core(error)) = &done {
                about.error = Some(error.clone());
            }
        })?;
    }
    done
}

fn tell(
    delivery: &Rc<Delivery>,
    task: &Zval,
    method: &'static str,
    complete: impl FnOnce(&mut Job),
) -> Result<(), Fail> {
    let all = observers::of_queue(delivery.observer());
    if all.is_empty() {
        return Ok(());
    }
    let mut about = Job {
        task: task.shallow_clone(),
        delivery: Rc::clone(delivery),
        waited: None,
        held: None,
        seconds: None,
        outcome: None,
        error: None,
    };
    complete(&mut about);
    let about = about.into_zval(false).map_err(Fail::internal)?;
    let told = observers::tell(&all, method, &about);
    // Observers and what they were told may end here, which may run destructors.
    let _ = guarded(move || drop((all, about)));
    told
}
