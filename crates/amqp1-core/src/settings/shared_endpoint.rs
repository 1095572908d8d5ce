//! An endpoint that queues and the pool share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::settings::endpoint::Endpoint;

/// The pool looks up endpoints by all their settings, whose hash is computed only once.
#[derive(Debug, Clone)]
pub(crate) struct SharedEndpoint {
    endpoint: Arc<Endpoint>,
    hash: u64,
}

impl SharedEndpoint {
    pub fn new(endpoint: Endpoint) -> Self {
        let mut hasher = DefaultHasher::new();
        endpoint.hash(&mut hasher);
        Self {
            endpoint: Arc::new(endpoint),
            hash: hasher.finish(),
        }
    }

    pub fn arc(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Deref for SharedEndpoint {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl PartialEq for SharedEndpoint {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.endpoint == other.endpoint
    }
}

impl Eq for SharedEndpoint {}

impl Hash for SharedEndpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn equal_endpoints_are_found_as_one() {
        let parse = |dsn| SharedEndpoint::new(Endpoint::parse(dsn, &Default::default()).unwrap());
        let known = HashSet::from([parse("amqp://u:p@h/v")]);
        assert!(known.contains(&parse("amqp://u:p@h/v")));
        for other in ["amqp://u:q@h/v", "amqp://u:p@h", "amqps://u:p@h/v"] {
            assert!(!known.contains(&parse(other)), "{other}");
        }
    }
}
