//! `Amqp1\Observation\Push`.

use std::cell::RefCell;
use std::time::Instant;

use amqp1_core::{AddedHeaders, BString, Error, HeaderValue, PushTarget};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::{ClassFlags, DataType};
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::call::run;
use crate::convert::args::Text;
use crate::convert::{plain, Bytes, Parameter};
use crate::exceptions;
use crate::fail::Fail;

/// A job that is about to be sent, or was sent.
#[php_class]
#[php(name = "Amqp1\\Observation\\Push")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct Push {
    facts: RefCell<PushFacts>,
}

/// What is known about a job that is sent.
#[derive(Debug)]
pub struct PushFacts {
    pub operation: &'static str,
    pub target: PushTarget,
    pub id: BString,
    pub name: BString,
    /// Its place in `pushMany()`.
    pub index: Option<usize>,
    /// Whether it is the last of its `pushMany()`, which is known only at the end.
    pub is_last: bool,
    /// What the caller has set.
    pub correlation_id: Option<BString>,
    pub size: usize,
    /// Each with its values, as text.
    pub headers: Vec<(BString, Vec<BString>)>,
    pub added: AddedHeaders,
    pub started: Instant,
    pub outcome: Option<Outcome>,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    pub seconds: f64,
    pub error: Option<Error>,
}

impl Push {
    pub fn new(facts: PushFacts) -> Self {
        Self {
            facts: RefCell::new(facts),
        }
    }

    /// Headers may be added only before it is sent.
    pub fn take_added(&self) -> AddedHeaders {
        std::mem::take(&mut self.facts.borrow_mut().added)
    }

    /// No job of its `pushMany()` comes after it.
    pub fn is_its_last(&self) {
        self.facts.borrow_mut().is_last = true;
    }

    /// Records how it ended.
    pub fn end(&self, error: Option<&Error>, target: Option<PushTarget>) {
        let mut facts = self.facts.borrow_mut();
        facts.outcome = Some(Outcome {
            seconds: facts.started.elapsed().as_secs_f64(),
            error: error.cloned(),
        });
        if let Some(target) = target {
            facts.target = target;
        }
    }
}

/// `?Throwable`.
#[derive(Debug)]
pub struct Thrown(pub Option<Zval>);

impl IntoZval for Thrown {
    const TYPE: DataType = DataType::object("Throwable");
    const NULLABLE: bool = true;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0.unwrap_or_default();
        Ok(())
    }
}

#[php_impl]
impl Push {
    /// The extension creates these objects; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err("Amqp1\\Observation\\Push cannot be created with new: observers are given one".into())
    }

    /// `push`, `push_many`, `schedule`, `request`, `reply`, or why a job is sent again.
    pub fn get_operation(&self) -> String {
        self.facts.borrow().operation.to_owned()
    }

    /// The pipeline's name.
    pub fn get_queue(&self) -> String {
        self.facts.borrow().target.queue.clone()
    }

    /// The endpoint, without secrets.
    pub fn get_endpoint(&self) -> String {
        self.facts.borrow().target.endpoint.clone()
    }

    /// The broker's kind, as in `getBroker()`.
    pub fn get_broker(&self) -> String {
        self.facts.borrow().target.broker.to_owned()
    }

    /// The broker's name of the queue or exchange.
    pub fn get_destination(&self) -> String {
        self.facts.borrow().target.destination.clone()
    }

    /// The routing key, if it goes to an exchange.
    pub fn get_routing_key(&self) -> Option<String> {
        self.facts.borrow().target.routing_key.clone()
    }

    /// The job's id.
    pub fn get_id(&self) -> Bytes {
        Bytes::from(&self.facts.borrow().id)
    }

    /// The job's name.
    pub fn get_name(&self) -> Bytes {
        Bytes::from(&self.facts.borrow().name)
    }

    /// Its index in `pushMany()`.
    pub fn get_index(&self) -> Option<i64> {
        let index = self.facts.borrow().index;
        index.and_then(|index| i64::try_from(index).ok())
    }

    /// Whether its `pushMany()` ends with it.
    pub fn is_last(&self) -> bool {
        self.facts.borrow().is_last
    }

    /// The correlation id that the caller has set.
    pub fn get_correlation_id(&self) -> Option<Bytes> {
        self.facts.borrow().correlation_id.as_ref().map(Bytes::from)
    }

    /// The payload's size in bytes.
    pub fn get_size(&self) -> i64 {
        i64::try_from(self.facts.borrow().size).unwrap_or(i64::MAX)
    }

    /// The job's headers, each with its values.
    pub fn get_headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| {
            let facts = self.facts.borrow();
            let mut array = ZendHashTable::new();
            for (name, values) in &facts.headers {
                let mut list = ZendHashTable::new();
                for value in values {
                    list.push(Bytes::from(value)).map_err(Fail::internal)?;
                }
                plain::insert(&mut array, name, list)?;
            }
            Ok(array)
        })
    }

    /// Adds a header, unless the job has one with this name or was sent.
    pub fn add_header(&self, name: Text<'_>, value: Text<'_>) -> PhpResult<bool> {
        const METHOD: &str = "Observation\\Push::addHeader()";
        run(|| {
            let name = Parameter::of(METHOD, 1, "name", "string").text(name.get())?;
            let value = Parameter::of(METHOD, 2, "value", "string").text(value.get())?;
            if name.is_empty() {
                return Err(Fail::config(format!(
                    "{METHOD}: a header's name must not be empty"
                )));
            }
            let mut facts = self.facts.borrow_mut();
            let is_it = |(known, _): &(BString, _)| known.eq_ignore_ascii_case(name.as_bytes());
            if facts.outcome.is_some() || facts.headers.iter().any(is_it) {
                return Ok(false);
            }
            let shown = vec![BString::from(&*value)];
            facts.headers.push((BString::from(&*name), shown));
            let value = HeaderValue::Text(value.into_owned().into());
            facts.added.push((name.into_owned().into(), value));
            Ok(true)
        })
    }

    /// `confirmed`, or the kind of the error; null before the end.
    pub fn get_outcome(&self) -> Option<String> {
        let facts = self.facts.borrow();
        let error = &facts.outcome.as_ref()?.error;
        let kind = error.as_ref().map(|error| error.kind().as_str());
        Some(kind.unwrap_or("confirmed").to_owned())
    }

    /// Why it failed.
    pub fn get_error(&self) -> Thrown {
        let facts = self.facts.borrow();
        let error = facts.outcome.as_ref().and_then(|end| end.error.as_ref());
        Thrown(error.map(exceptions::of))
    }

    /// How long it took; null before the end.
    pub fn get_seconds(&self) -> Option<f64> {
        let facts = self.facts.borrow();
        facts.outcome.as_ref().map(|end| end.seconds)
    }
}
