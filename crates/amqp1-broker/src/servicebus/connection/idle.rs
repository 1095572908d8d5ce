//! Closes what the service would close: connections without a token or without links, idle links,
//! and links whose token has expired.

use std::time::Duration;

use super::trunk::{Connection, Fault, Kind};
use crate::amqp::endpoint::Stage;
use crate::clock::ms;
use crate::servicebus::facts::condition;
use crate::servicebus::model::errors;
use crate::servicebus::service::Service;

/// The start of each idle period.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Since when the peer has had no access, in Unix milliseconds.
    no_token_since: Option<u64>,
    had_links: bool,
    /// Since when there has been no link, in Unix milliseconds.
    no_links_since: Option<u64>,
}

/// `start` plus a duration from the settings; zero means never.
fn end(start: u64, time: Duration) -> Option<u64> {
    (!time.is_zero()).then(|| start.saturating_add(ms(time)))
}

/// Whether a link can time out as idle. One that waits for a session has its own timeout.
fn is_watched(kind: &Kind) -> bool {
    matches!(kind, Kind::Incoming(_) | Kind::Outgoing(_))
}

impl Idle {
    pub(super) fn new(now: u64) -> Self {
        Self {
            no_token_since: Some(now),
            had_links: false,
            no_links_since: Some(now),
        }
    }
}

impl Connection {
    pub(super) fn watch_idle(&mut self, model: &mut Service, now: u64) {
        if self.endpoint.stage() != Stage::Open {
            return;
        }
        if self.of.access.expire(now) {
            self.drop_unauthorized(model, now);
        }
        self.drop_idle_links(model, now);
        self.of.idle.no_token_since = match self.of.access.is_empty() {
            true => self.of.idle.no_token_since.or(Some(now)),
            false => None,
        };
        let has_links = self.sessions.values().any(|s| {
            let is_alive = |kind: &Kind| !matches!(kind, Kind::Detached);
            s.links.values().any(|link| is_alive(&link.kind))
        });
        self.of.idle.had_links |= has_links;
        self.of.idle.no_links_since = match (has_links, self.of.idle.no_links_since) {
            (true, _) => None,
            (false, since) => since.or(Some(now)),
        };
        if let Some((at, what)) = self.forced_at() {
            if at <= now {
                let e = errors::error(condition::CONNECTION_FORCED, what);
                self.close(e, model, now);
            }
        }
    }

    /// When the connection will be closed, and why.
    fn forced_at(&self) -> Option<(u64, &'static str)> {
        let timers = &self.shared.settings.timers;
        let since = self.of.idle.no_token_since;
        let no_token = since
            .and_then(|since| end(since, timers.no_token))
            .map(|at| (at, "The connection was inactive: no valid token was put."));
        let (time, what) = if self.of.idle.had_links {
            (
                timers.links_gone,
                "The connection was inactive: it has had no link for too long.",
            )
        } else {
            (
                timers.no_link,
                "The connection was inactive: no link was attached.",
            )
        };
        let since = self.of.idle.no_links_since;
        let no_link = since.and_then(|since| end(since, time));
        no_token
            .into_iter()
            .chain(no_link.map(|at| (at, what)))
            .min()
    }

    /// When [`Connection::watch_idle`] next has work to do.
    pub(super) fn idle_due(&self, _now: u64) -> Option<u64> {
        if self.endpoint.stage() != Stage::Open {
            return None;
        }
        let time = self.shared.settings.timers.link_idle;
        let links = self.sessions.values().flat_map(|s| s.links.values());
        let links = links.filter(|link| is_watched(&link.kind));
        let idle = links.filter_map(|link| end(link.of.active_at, time)).min();
        let forced = self.forced_at().map(|(at, _)| at);
        let withheld = self.sessions.values().flat_map(|s| s.links.values());
        let withheld = withheld.filter_map(|link| match &link.kind {
            Kind::Incoming(incoming) if incoming.of.withheld_until > 0 => {
                Some(incoming.of.withheld_until)
            }
            _ => None,
        });
        [idle, forced, self.of.access.due(), withheld.min()]
            .into_iter()
            .flatten()
            .min()
    }

    fn drop_idle_links(&mut self, model: &mut Service, now: u64) {
        let time = self.shared.settings.timers.link_idle;
        let mut over = Vec::new();
        for (channel, session) in &self.sessions {
            for (handle, link) in &session.links {
                let is_over = end(link.of.active_at, time).is_some_and(|at| at <= now);
                if is_over && is_watched(&link.kind) {
                    over.push((*channel, *handle, link.name.clone()));
                }
            }
        }
        for (channel, handle, name) in over {
            let e = errors::error(
                condition::LINK_DETACH_FORCED,
                format!("The link '{name}' is force detached by the broker due to errors occurred in publisher(link0). Detach origin: idle for {} ms.", ms(time)),
            );
            self.with_session(channel, model, now, |_, _| Err(Fault::Link(handle, e)));
        }
    }

    /// Detaches the links that no token covers any more.
    pub(super) fn drop_unauthorized(&mut self, model: &mut Service, now: u64) {
        let mut over = Vec::new();
        for (channel, session) in &self.sessions {
            for (handle, link) in &session.links {
                let entity = link.of.address.entity();
                if entity.is_some_and(|entity| !self.of.access.reaches(entity)) {
                    over.push((*channel, *handle));
                }
            }
        }
        for (channel, handle) in over {
            let e = errors::unauthorized("ExpiredToken: The token is expired.");
            self.with_session(channel, model, now, |_, _| Err(Fault::Link(handle, e)));
        }
    }
}
