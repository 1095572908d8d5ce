//! How the client authenticates to an endpoint.

use std::fmt;

/// How the client authenticates to an endpoint.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// SASL: PLAIN with the endpoint's credentials, EXTERNAL with a certificate, otherwise
    /// ANONYMOUS.
    #[default]
    Sasl,
    /// Tokens that the client signs with a rule's key and renews before they expire.
    Key {
        /// The rule's name.
        rule: String,
        /// Its key.
        key: String,
    },
    /// This token, until it expires.
    Token(String),
    /// Tokens from the application's callback with this number.
    Callback(u64),
}

impl Access {
    /// Whether the client can get another token when one has expired.
    pub(crate) fn has_more_tokens(&self) -> bool {
        matches!(self, Access::Key { .. } | Access::Callback(_))
    }

    /// Whether tokens are put on the connection (claims-based security).
    #[must_use]
    pub fn is_by_token(&self) -> bool {
        !matches!(self, Access::Sasl)
    }
}

impl fmt::Debug for Access {
    /// Omits the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Sasl => f.write_str("Sasl"),
            Access::Key { rule, .. } => write!(f, "Key({rule})"),
            Access::Token(_) => f.write_str("Token"),
            Access::Callback(number) => write!(f, "Callback({number})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_has_no_secret() {
        for access in [
            Access::Key {
                rule: "Root".to_owned(),
                key: "s3cret".to_owned(),
            },
            Access::Token("SharedAccessSignature sig=s3cret".to_owned()),
        ] {
            assert!(!format!("{access:?}").contains("s3cret"));
        }
    }
}
