//! The entities that a peer may access.

use crate::amqp::negotiation::{user, Authenticator, ANONYMOUS, EXTERNAL, PLAIN};
use crate::servicebus::sas::Claim;
use crate::servicebus::settings::ServiceBus;

/// The SASL mechanism of the service's own clients, which announces that tokens will follow.
const MSSBCBS: &str = "MSSBCBS";

#[derive(Debug)]
pub(crate) struct Access {
    rules: Vec<(String, String)>,
    /// Whether everybody may access everything.
    is_open: bool,
    /// Whether the peer proved a rule's key with SASL PLAIN.
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

    /// Whether the peer may access an entity.
    pub(super) fn reaches(&self, entity: &str) -> bool {
        self.is_open || self.has_key || self.claims.iter().any(|claim| claim.covers(entity))
    }

    /// Whether the peer may not access anything yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_open && !self.has_key && self.claims.is_empty()
    }

    /// Adds a claim, replacing an earlier one for the same path.
    pub(super) fn add(&mut self, claim: Claim) {
        self.claims.retain(|known| known.path != claim.path);
        self.claims.push(claim);
    }

    /// Drops expired claims; true if there were any.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let before = self.claims.len();
        self.claims.retain(|claim| claim.expires_at > now);
        self.claims.len() < before
    }

    /// Drops all access of the peer, as if every claim had expired.
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
