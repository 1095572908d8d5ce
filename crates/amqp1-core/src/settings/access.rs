//! How an endpoint is told who its client is.

use std::fmt;

/// How an endpoint is told who its client is.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// By SASL: PLAIN with the endpoint's credentials, EXTERNAL with a certificate, ANONYMOUS without.
    #[default]
    Sasl,
    /// By tokens that the client signs with the key of a rule, renewed before they expire.
    Key {
        /// The rule's name.
        rule: String,
        /// Its key.
        key: String,
    },
    /// By this token, as long as it is good.
    Token(String),
    /// By tokens that the application is asked for: the callback of this number.
    Callback(u64),
}

impl Access {
    /// When a token has expired, another one can be had.
    pub(crate) fn has_more_tokens(&self) -> bool {
        matches!(self, Access::Key { .. } | Access::Callback(_))
    }

    /// Tokens are put on the connection (claims-based security).
    #[must_use]
    pub fn is_by_token(&self) -> bool {
        !matches!(self, Access::Sasl)
    }
}

impl fmt::Debug for Access {
    /// Without the secrets.
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
