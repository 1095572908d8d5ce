//! `Amqp1\TaskIterator`: the iterator of `foreach ($consumer as $task)`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::{ClassFlags, DataType};
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;

use super::consumer::{default_timeout, next};
use crate::call::run;
use crate::callbacks::watchers::Watcher;
use crate::engine::garbage::Holder;
use crate::fail::Fail;

/// One iteration over a consumer's jobs. It holds only the current task.
#[php_class]
#[php(name = "Amqp1\\TaskIterator")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::iterator, stub = "\\Iterator"))]
#[derive(Debug)]
pub struct TaskIterator {
    walk: Rc<Walk>,
}

#[derive(Debug)]
struct Walk {
    consumer: Rc<amqp1_core::Consumer>,
    /// The iteration may outlive the `Consumer` object.
    observers: Vec<Watcher>,
    current: RefCell<Option<Zval>>,
    key: Cell<i64>,
}

impl TaskIterator {
    /// An iteration that has not begun.
    pub fn new(consumer: Rc<amqp1_core::Consumer>, observers: Vec<Watcher>) -> Self {
        Self {
            walk: Rc::new(Walk {
                consumer,
                observers,
                current: RefCell::new(None),
                key: Cell::new(-1),
            }),
        }
    }
}

impl Holder for TaskIterator {
    fn held(&self, report: &mut dyn FnMut(&Zval)) {
        // If something else holds the walk, a call is in progress.
        if Rc::strong_count(&self.walk) > 1 {
            return;
        }
        for observer in &self.walk.observers {
            report(observer.observer());
        }
        if let Ok(Some(current)) = self.walk.current.try_borrow().as_deref() {
            report(current);
        }
    }
}

impl Walk {
    /// Holds no borrow while it waits: a signal handler may use the iterator.
    fn advance(&self) -> Result<(), Fail> {
        let last = self.current.take();
        drop(last);
        let Some(task) = next(&self.consumer, default_timeout(&self.consumer))? else {
            return Ok(());
        };
        let task = task.into_zval(false).map_err(Fail::internal)?;
        self.key.set(self.key.get() + 1);
        let last = self.current.replace(Some(task));
        drop(last);
        Ok(())
    }
}

/// `?Task`, as the zval that the iterator holds.
#[derive(Debug)]
pub struct CurrentTask(Option<Zval>);

impl IntoZval for CurrentTask {
    const TYPE: DataType = DataType::object("Amqp1\\Task");
    const NULLABLE: bool = true;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0.unwrap_or_default();
        Ok(())
    }
}

#[php_impl]
impl TaskIterator {
    /// Consumers create iterators; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err("Amqp1\\TaskIterator cannot be created with new: Amqp1\\Consumer::getIterator() returns one".into())
    }

    /// The current task; null before the iteration begins and after it ends.
    pub fn current(&self) -> CurrentTask {
        CurrentTask(self.walk.current.borrow().as_ref().map(Zval::shallow_clone))
    }

    /// The number of tasks before the current one.
    pub fn key(&self) -> i64 {
        self.walk.key.get().max(0)
    }

    /// Releases the current task and waits for the next one.
    pub fn next(&self) -> PhpResult<()> {
        run(|| Rc::clone(&self.walk).advance())
    }

    /// Waits for the first task. If the iteration has begun, it continues where it is.
    pub fn rewind(&self) -> PhpResult<()> {
        run(|| {
            let walk = Rc::clone(&self.walk);
            if walk.current.borrow().is_some() {
                return Ok(());
            }
            walk.advance()
        })
    }

    /// Whether there is a current task.
    pub fn valid(&self) -> bool {
        self.walk.current.borrow().is_some()
    }
}
