//! Tasks as they are handed over to PHP, and shown to the observers.

use std::rc::Rc;
use std::time::Instant;

use amqp1_core::Delivery;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::Zval;

use crate::callbacks::watchers;
use crate::classes::observation::job;
use crate::classes::task::Task;
use crate::fail::Fail;

/// A task for PHP.
#[derive(Debug)]
pub enum Handed {
    New(Task),
    /// Observers have seen it.
    Known(Zval),
}

impl IntoZval for Handed {
    const TYPE: DataType = DataType::object("Amqp1\\Task");
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, persistent: bool) -> ext_php_rs::error::Result<()> {
        match self {
            Handed::New(task) => task.set_zval(zval, persistent),
            Handed::Known(task) => {
                *zval = task;
                Ok(())
            }
        }
    }
}

/// The time before a wait, if it will be needed.
pub fn clock() -> Option<Instant> {
    watchers::are_there().then(Instant::now)
}

/// Makes tasks of jobs, and tells the observers.
///
/// # Errors
/// An observer called `exit()`, or ended in a fatal error: the jobs are returned.
pub fn received(jobs: Vec<Rc<Delivery>>, since: Option<Instant>) -> Result<Vec<Handed>, Fail> {
    let Some(since) = since else {
        let tasks = jobs.into_iter().map(|job| Handed::New(Task::new(job)));
        return Ok(tasks.collect());
    };
    let waited = since.elapsed().as_secs_f64();
    let mut tasks = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let task = Task::new(Rc::clone(job)).into_zval(false);
        let task = task.map_err(Fail::internal)?;
        if let Err(fail) = job::received(job, &task, waited) {
            jobs.iter().for_each(|job| job.return_unseen());
            return Err(fail);
        }
        tasks.push(Handed::Known(task));
    }
    Ok(tasks)
}
