//! The client's SASL mechanism.

use std::fmt;

use crate::settings::endpoint::Endpoint;

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Anonymous,
    Plain(String, String),
    External,
}

impl fmt::Debug for Mechanism {
    /// Prints only the name, which contains no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Mechanism {
    /// The mechanism that fits an endpoint's credentials.
    pub fn of(endpoint: &Endpoint) -> Self {
        match &endpoint.credentials {
            // A token authenticates the client after the open.
            _ if endpoint.access.is_by_token() => Mechanism::Anonymous,
            Some((user, password)) => Mechanism::Plain(user.clone(), password.clone()),
            None if endpoint.tls.cert.is_some() => Mechanism::External,
            None => Mechanism::Anonymous,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::Plain(..) => "PLAIN",
            Mechanism::External => "EXTERNAL",
        }
    }

    pub fn response(&self) -> Vec<u8> {
        match self {
            Mechanism::Anonymous => b"amqp1".to_vec(),
            Mechanism::Plain(user, password) => format!("\0{user}\0{password}").into_bytes(),
            Mechanism::External => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_mechanism_has_no_password() {
        let plain = Mechanism::Plain("user".to_owned(), "s3cret".to_owned());
        assert_eq!(format!("{plain:?}"), "PLAIN");
    }
}
