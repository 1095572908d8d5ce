//! `addr`: one DSN, or a list of DSNs for the hosts of one broker.

use std::cell::RefCell;

use crate::config::honour;
use crate::error::{Error, Result};
use crate::queue::Queue;
use crate::settings::endpoint::{canonical, split_query, Endpoint};
use crate::settings::input::Input;
use crate::settings::options::{DialectOption, QueueOptions};
use crate::settings::token::TokenOption;

/// The DSNs, with variables expanded.
pub(super) struct Address {
    dsns: Vec<String>,
    path: String,
    /// The previous pipeline's endpoint, which is usually the next one's as well.
    last: RefCell<Option<(DialectOption, Option<TokenOption>, Endpoint)>>,
}

impl Address {
    /// Reads an expanded value; `None` for null.
    pub fn read(value: Input, path: String) -> Result<Option<Self>> {
        let dsns = match value {
            Input::Null => return Ok(None),
            Input::Text(dsn) => vec![dsn],
            Input::List(items) if !items.is_empty() => {
                let texts = items.into_iter().map(|item| match item {
                    Input::Text(dsn) => Ok(dsn),
                    // The message does not repeat the value, which may be part of the password.
                    other => Err(Error::config(format!(
                        "{path}: expected a list of addresses, but it contains {}",
                        other.type_name()
                    ))),
                });
                texts.collect::<Result<_>>()?
            }
            other => {
                return Err(Error::config(format!(
                    "{path}: expected an address such as amqp://user:password@localhost:5672, or a list of them, got {}",
                    other.type_name()
                )))
            }
        };
        Ok(Some(Self {
            dsns,
            path,
            last: RefCell::new(None),
        }))
    }

    /// Applies the options in the DSNs' queries to `defaults`.
    pub fn options(&self, defaults: QueueOptions) -> Result<QueueOptions> {
        let mut dsns = self.dsns.iter();
        dsns.try_fold(defaults, |options, dsn| Queue::options_of(dsn, options))
            .map_err(|error| error.context(&self.path))
    }

    /// Whether TLS options can have an effect on any of the hosts.
    pub fn is_encrypted(&self) -> bool {
        let scheme = |dsn: &String| dsn.trim().split(':').next().map(canonical);
        let plain = |dsn| matches!(scheme(dsn).as_deref(), Some("amqp" | "embedded"));
        !self.dsns.iter().all(plain)
    }

    /// The endpoint with all hosts.
    pub fn endpoint(&self, options: &QueueOptions) -> Result<Endpoint> {
        let mut options = options.clone();
        honour::tls(self.is_encrypted(), "", &mut options);
        if let Some((dialect, token, last)) = self.last.borrow().as_ref() {
            let is_same = last.tls == options.tls
                && *dialect == options.dialect
                && *token == options.token
                && last.container_id == options.container_id
                && last.host_order == options.host_order
                && last.heartbeat == options.heartbeat;
            if is_same {
                return Ok(last.clone());
            }
        }
        let in_path = |error: Error| error.context(&self.path);
        let mut whole: Option<Endpoint> = None;
        for dsn in &self.dsns {
            let (dsn, _) = split_query(dsn).map_err(in_path)?;
            let one = Endpoint::parse(dsn, &options).map_err(in_path)?;
            whole = Some(match whole {
                None => one,
                Some(whole) => whole.or(one).map_err(in_path)?,
            });
        }
        let whole = whole.ok_or_else(|| in_path(Error::config("an address is missing")))?;
        *self.last.borrow_mut() = Some((options.dialect, options.token, whole.clone()));
        Ok(whole)
    }
}
