//! The companion of one connection to Service Bus: tokens, management links, locks.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::constants::{
    ASK_AT_PERCENT, CBS, JWT, MANAGEMENT, RENEW_AT_PERCENT, SAS_TOKEN, TOKEN_LIFETIME, UNAUTHORIZED,
};
use super::locks::Locks;
use super::request::{Reply, Request, RequestLink};
use super::{refusal, sas};
use crate::base::clock::now_seconds;
use crate::base::events::{Event, EventKind};
use crate::base::sync::Mutex;
use crate::base::threads;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::connection::{dial, Connection, Order};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::access::Access;
use crate::settings::endpoint::Endpoint;
use crate::settings::token::{Token, TokenOption};
use crate::wire::write;

/// The pause before another attempt to renew a token.
const AGAIN: Duration = Duration::from_secs(5);

/// The companion of one connection to Service Bus.
#[derive(Debug)]
pub(crate) struct ServiceBusCompanion {
    endpoint: Arc<Endpoint>,
    pub connection: Connection,
    /// By node: `$cbs`, `orders/$management`.
    links: Mutex<HashMap<String, Arc<RequestLink>>>,
    /// By audience.
    granted: Mutex<HashMap<String, Granted>>,
    /// Audiences for which a token was accepted before.
    accepted: Mutex<HashSet<String>>,
    pub locks: Arc<Locks>,
}

/// A token that the service has accepted.
#[derive(Debug, Clone, Copy)]
struct Granted {
    expires: Instant,
    renew_at: Instant,
}

impl ServiceBusCompanion {
    /// Creates the companion of an open connection.
    pub fn over(endpoint: &Arc<Endpoint>, connection: &Connection) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            connection: connection.clone(),
            links: Mutex::default(),
            granted: Mutex::default(),
            accepted: Mutex::default(),
            locks: Arc::default(),
        }
    }

    /// The companion as Service Bus's own type, if its broker is Service Bus.
    pub fn of(companion: &dyn Companion) -> Option<&Self> {
        (companion as &dyn Any).downcast_ref()
    }

    fn access(&self) -> &Access {
        &self.endpoint.access
    }

    /// `sb://host/entity`.
    fn audience(&self, entity: &str) -> String {
        format!("sb://{}/{entity}", self.endpoint.host())
    }

    /// Authenticates the client before anything is attached to the entity. After a temporary
    /// refusal, retries with the service's backoff.
    ///
    /// # Errors
    /// Authentication if the token is refused or has expired; the error of the application's
    /// callback; timeout.
    pub fn authorize(
        &self,
        entity: &str,
        tokens: Option<&TokenOption>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        self.trying(wait, || self.authorize_once(entity, tokens, wait))
    }

    fn authorize_once(
        &self,
        entity: &str,
        tokens: Option<&TokenOption>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if !self.access().is_by_token() {
            return Ok(());
        }
        let audience = self.audience(entity);
        let granted = self.granted.lock().get(&audience).copied();
        let asks = matches!(self.access(), Access::Callback(_));
        let now = Instant::now();
        let is_good =
            |granted: Granted| granted.expires > now && !(asks && granted.renew_at <= now);
        if granted.is_some_and(is_good) {
            return Ok(());
        }
        let token = match (self.access(), tokens) {
            (Access::Callback(_), Some(TokenOption::Source(source))) => source.token(&audience)?,
            _ => self.token(&audience)?,
        };
        let request = put_token(&audience, &token);
        let reply = self.request_link(CBS)?.call(&request, wait)?;
        self.took(&audience, &token, &reply)
    }

    /// A token that is available without asking the application.
    fn token(&self, audience: &str) -> Result<Token> {
        match self.access() {
            Access::Key { rule, key } => {
                let expires = now_seconds() + TOKEN_LIFETIME.as_secs();
                Ok(Token {
                    text: sas::token(audience, rule, key, expires),
                    expires: Some(expires),
                })
            }
            Access::Token(text) => {
                let token =
                    Token::read(text).map_err(|why| self.refused(&format!("the token {why}")))?;
                if token.left().is_zero() {
                    return Err(self.refused("the token has expired; provide a new one"));
                }
                Ok(token)
            }
            Access::Callback(_) | Access::Sasl => {
                Err(self.refused("no token was given; set the option 'token'"))
            }
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::authentication(format!("{}: {why}", self.endpoint.label()))
    }

    fn took(&self, audience: &str, token: &Token, reply: &Reply) -> Result<()> {
        let taken = self.took_token(audience, token, reply);
        let kind = match &taken {
            Ok(is_first) if *is_first => return Ok(()),
            Ok(_) => EventKind::TokenRenewed,
            Err(_) => EventKind::TokenRefused,
        };
        threads::emit(|| Event {
            queue: audience.splitn(4, '/').nth(3).map(str::to_owned),
            error: taken.as_ref().err().cloned(),
            ..Event::new(kind, self.endpoint.label())
        });
        taken.map(|_| ())
    }

    /// Records the answer to a token; true if it is the first one for its audience.
    fn took_token(&self, audience: &str, token: &Token, reply: &Reply) -> Result<bool> {
        if !reply.is_good() {
            let what = format!(
                "{}: the service refused the token for {audience}",
                self.endpoint.label()
            );
            let error = reply.error(&what);
            return Err(match error.kind() {
                ErrorKind::QueueNotFound | ErrorKind::Connection => error,
                _ => Error::authentication(error.message()),
            });
        }
        let left = token.left();
        let part = match self.access() {
            Access::Callback(_) => ASK_AT_PERCENT,
            _ => RENEW_AT_PERCENT,
        };
        let now = Instant::now();
        let granted = Granted {
            expires: now + left,
            renew_at: now + left * (100 - part) / 100,
        };
        self.granted.lock().insert(audience.to_owned(), granted);
        // The renewal task has another date to watch.
        self.locks.wake.notify_one();
        Ok(self.accepted.lock().insert(audience.to_owned()))
    }

    /// Handles the service's report that a token has expired before we noticed. True if another one
    /// will be sent next time.
    pub fn note_unauthorized(&self, error: &Error) -> bool {
        let is_over = self.access().has_more_tokens() && error.condition() == Some(UNAUTHORIZED);
        if is_over {
            self.forget_tokens();
        }
        is_over
    }

    /// Sends every token again before the next attach.
    pub fn forget_tokens(&self) {
        self.granted.lock().clear();
    }

    /// When the renewal task must renew a token; `None` if it renews none.
    pub fn next_renewal(&self) -> Option<Instant> {
        match self.access() {
            Access::Key { .. } => self.granted.lock().values().map(|one| one.renew_at).min(),
            _ => None,
        }
    }

    /// Whether the application provides the tokens.
    pub fn asks_application(&self) -> bool {
        matches!(self.access(), Access::Callback(_))
    }

    /// When the application must be asked for a token again, during a blocking call.
    pub fn next_question(&self) -> Option<Instant> {
        match self.access() {
            Access::Callback(_) => self.granted.lock().values().map(|one| one.renew_at).min(),
            _ => None,
        }
    }

    /// Asks the application for due tokens, during one of its own calls.
    pub fn ask_if_due(&self, tokens: Option<&TokenOption>, wait: &Wait<'_>) -> Result<()> {
        if self.next_question().is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        for audience in self.due_tokens(Instant::now()) {
            let entity = audience
                .splitn(4, '/')
                .nth(3)
                .unwrap_or_default()
                .to_owned();
            self.authorize(&entity, tokens, wait)?;
        }
        Ok(())
    }

    /// Audiences whose tokens must be renewed.
    fn due_tokens(&self, now: Instant) -> Vec<String> {
        let granted = self.granted.lock();
        let due = granted.iter().filter(|(_, one)| one.renew_at <= now);
        due.map(|(audience, _)| audience.clone()).collect()
    }

    /// Renews due tokens with our own keys. Called by the renewal task.
    pub async fn renew_tokens(&self, timeout: Duration) {
        if !matches!(self.access(), Access::Key { .. }) {
            return;
        }
        for audience in self.due_tokens(Instant::now()) {
            if self.renew_token(&audience, timeout).await.is_err() {
                // Until it expires, there is time for more attempts. Then its links end, and the
                // next call that needs one reports the reason.
                if let Some(granted) = self.granted.lock().get_mut(&audience) {
                    granted.renew_at = Instant::now() + AGAIN;
                }
            }
        }
    }

    /// Opens another connection for the same locks. Called by the renewal task.
    pub async fn again(&self, timeout: Duration) -> Result<Self> {
        let order = Order::given(&self.endpoint);
        let dialled = dial(&self.endpoint, "renew", &order, timeout);
        let in_time = tokio::time::timeout(timeout, dialled).await;
        let late = |_| Error::timeout("connecting took too long");
        Ok(Self {
            endpoint: Arc::clone(&self.endpoint),
            connection: in_time.map_err(late)??,
            links: Mutex::default(),
            granted: Mutex::default(),
            accepted: Mutex::new(self.accepted.lock().clone()),
            locks: Arc::clone(&self.locks),
        })
    }

    /// Sends the token for an entity, if none was sent and one is available without asking the
    /// application.
    pub async fn authorize_again(&self, entity: &str, timeout: Duration) -> Result<()> {
        let audience = self.audience(entity);
        let is_put = self.granted.lock().contains_key(&audience);
        match self.access().is_by_token() && !is_put {
            true => self.renew_token(&audience, timeout).await,
            false => Ok(()),
        }
    }

    async fn renew_token(&self, audience: &str, timeout: Duration) -> Result<()> {
        let token = self.token(audience)?;
        let link = self.request_link(CBS)?;
        let reply = link
            .call_async(&put_token(audience, &token), timeout)
            .await?;
        self.took(audience, &token, &reply)
    }

    /// The links to a node, attached if there are none.
    pub fn request_link(&self, node: &str) -> Result<Arc<RequestLink>> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(node) {
            if link.failed().is_none() {
                return Ok(Arc::clone(link));
            }
        }
        let link = Arc::new(RequestLink::open(&self.connection, node)?);
        links.insert(node.to_owned(), Arc::clone(&link));
        Ok(link)
    }

    /// Executes one management operation on an entity. After a temporary refusal, retries with the
    /// service's backoff.
    ///
    /// # Errors
    /// The refusal, whatever it is; timeout.
    pub fn operate(
        &self,
        entity: &str,
        request: &Request,
        tokens: Option<&TokenOption>,
        wait: &Wait<'_>,
    ) -> Result<Reply> {
        let operate = || self.operate_once(entity, request, tokens, wait);
        match self.trying(wait, operate) {
            // The service found the token expired before we noticed.
            Err(error) if self.note_unauthorized(&error) => self.trying(wait, operate),
            done => done,
        }
    }

    fn trying<T>(&self, wait: &Wait<'_>, attempt: impl Fn() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match attempt() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match refusal::pause(error.condition(), tries) {
                Some(pause) if pause < wait.left() && self.connection.lost().is_none() => {
                    wait.sleep(pause)?;
                }
                _ => return Err(error),
            }
        }
    }

    fn operate_once(
        &self,
        entity: &str,
        request: &Request,
        tokens: Option<&TokenOption>,
        wait: &Wait<'_>,
    ) -> Result<Reply> {
        self.authorize_once(entity, tokens, wait)?;
        let node = format!("{entity}/{MANAGEMENT}");
        let reply = self.request_link(&node)?.call(request, wait)?;
        if reply.is_good() {
            return Ok(reply);
        }
        Err(reply.error(&format!("{node} of {}", self.endpoint.label())))
    }
}

/// A token's type, in the service's terms.
fn token_type(token: &Token) -> &'static str {
    match token.is_signature() {
        true => SAS_TOKEN,
        false => JWT,
    }
}

fn put_token(audience: &str, token: &Token) -> Request {
    let mut body = Vec::with_capacity(token.text.len() + 8);
    write::string(&mut body, &token.text);
    Request {
        properties: vec![
            ("operation", "put-token".to_owned()),
            ("type", token_type(token).to_owned()),
            ("name", audience.to_owned()),
        ],
        body,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::brokers::servicebus::renewal;
    use crate::reach::pool::{self, Role};
    use crate::settings::options::{DialectOption, QueueOptions};
    use crate::settings::shared_endpoint::SharedEndpoint;

    #[test]
    #[cfg_attr(not(feature = "servicebus-emulator"), ignore = "left out")]
    fn a_token_of_ours_is_renewed_in_the_background() {
        let mut endpoint = Endpoint::parse("embedded://renewal", &QueueOptions::default()).unwrap();
        endpoint.dialect = DialectOption::ServiceBus;
        endpoint.access = Access::Key {
            rule: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
        };
        let endpoint = SharedEndpoint::new(endpoint);
        let wait = Wait::uninterrupted(Duration::from_secs(20));
        let second = Duration::from_secs(1);
        let connection = pool::connection(&endpoint, Role::Publish, second, &wait).unwrap();
        let client = renewal::start(endpoint.arc(), &connection).unwrap();
        client.authorize("orders", None, &wait).unwrap();
        let in_an_hour = client.next_renewal().unwrap() - Instant::now();
        assert!(in_an_hour > Duration::from_secs(3200) && in_an_hour < Duration::from_secs(3241));
        let audience = client.audience("orders");
        client.granted.lock().get_mut(&audience).unwrap().renew_at = Instant::now();
        client.locks.wake.notify_one();
        while client.next_renewal().unwrap() < Instant::now() + Duration::from_secs(3000) {
            wait.sleep(Duration::from_millis(10)).unwrap();
            assert!(!wait.left().is_zero(), "it was not renewed");
        }
    }
}
