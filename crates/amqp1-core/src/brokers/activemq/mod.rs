//! Apache ActiveMQ: Artemis and Classic, two brokers that share a name, the queue capability and
//! the delay annotations. Names no other broker.

mod artemis;
mod classic;
mod control;
mod conversation;
mod scheduler;
mod statistics;

pub(super) use artemis::Artemis;
pub(super) use classic::Classic;

use crate::error::{Error, Result};

/// A name with a wildcard between its dots matches many queues.
fn no_wildcards(name: &str, wildcards: &[&str]) -> Result<()> {
    match name.split('.').find(|word| wildcards.contains(word)) {
        None => Ok(()),
        Some(word) => Err(Error::unsupported(format!(
            "'{name}': ActiveMQ reads '{word}' as a wildcard; choose another name"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::Dialect;

    #[test]
    fn names_that_would_be_several_queues_are_refused() {
        for name in ["a.*", "*", "a.>.b", "a,b", "a?consumer.exclusive=true"] {
            assert!(Classic.check_name(name).is_err(), "{name}");
        }
        for name in ["a.#", "#", "a.*.b"] {
            assert!(Artemis.check_name(name).is_err(), "{name}");
        }
        for name in ["orders", "a.b*", "a b/ü", "a#b", "x>"] {
            assert!(Classic.check_name(name).is_ok(), "{name}");
            assert!(Artemis.check_name(name).is_ok(), "{name}");
        }
    }
}
