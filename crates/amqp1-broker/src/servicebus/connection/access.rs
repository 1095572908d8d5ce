//! Who the peer is, and what it may reach.

use crate::amqp::negotiation::{user, Authenticator, ANONYMOUS, EXTERNAL, PLAIN};
use crate::servicebus::sas::Claim;
use crate::servicebus::settings::ServiceBus;

/// The mechanism by which the service's own clients say that they will put tokens.
const MSSBCBS: &str = "MSSBCBS";

/// See the module.
#[derive(Debug)]
pub(crate) struct Access {
    rules: Vec<(String, String)>,
    /// Everybody may reach everything.
    is_open: bool,
    /// The peer has shown a rule's key by SASL PLAIN.
    has_key: bool,
    claims: Vec<Claim>,
}

impl Access {
    pub(super) fn new(settings: &ServiceBus) -> Self {
        Self {
            rules: settings.access_rules.clone(),
            is_open: !settings.require_token,
            has_key: false,
            claims: Vec::new(),
        }
    }

    /// Whether the peer may reach an entity.
    pub(super) fn reaches(&self, entity: &str) -> bool {
        self.is_open || self.has_key || self.claims.iter().any(|claim| claim.covers(entity))
    }

    /// Whether the peer may reach nothing yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_open && !self.has_key && self.claims.is_empty()
    }

    /// Takes a claim in place of an earlier one for the same path.
    pub(super) fn add(&mut self, claim: Claim) {
        self.claims.retain(|known| known.path != claim.path);
        self.claims.push(claim);
    }

    /// Drops what has expired; true when something has.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let before = self.claims.len();
        self.claims.retain(|claim| claim.expires_at > now);
        self.claims.len() < before
    }

    /// Drops every claim, as if all had expired; and whatever else lets the peer in.
    pub(super) fn revoke(&mut self) {
        self.claims.clear();
        self.is_open = false;
        self.has_key = false;
    }

    /// When the next claim expires.
    pub(super) fn due(&self) -> Option<u64> {
        self.claims.iter().map(|claim| claim.expires_at).min()
    }
}

impl Authenticator for Access {
    fn mechanisms(&self) -> &[&str] {
        &[MSSBCBS, PLAIN, ANONYMOUS, EXTERNAL]
    }

    fn needs_sasl(&self) -> bool {
        false
    }

    fn authenticates(&mut self, mechanism: &str, response: Option<&[u8]>) -> bool {
        match mechanism {
            PLAIN => {
                self.has_key = response.is_some_and(|r| user(r, &self.rules).is_some());
                self.has_key
            }
            ANONYMOUS | EXTERNAL | MSSBCBS => true,
            _ => false,
        }
    }
}
