//! Tokens: their type, their expiry, and their source.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value as Json;

use crate::base::clock::now_seconds;
use crate::error::Result;

/// The prefix of every shared access signature.
const SAS_PREFIX: &str = "SharedAccessSignature ";

/// A token to put on a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub text: String,
    /// When it expires, in Unix seconds; `None` if it does not say.
    pub expires: Option<u64>,
}

impl fmt::Debug for Token {
    /// Omits the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Reads a token that contains its expiry: a shared access signature or a JSON web token.
    ///
    /// # Errors
    /// The expected form, without the text.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let expires = if let Some(fields) = text.strip_prefix(SAS_PREFIX) {
            let field = |name: &str| {
                let mut fields = fields.split('&').filter_map(|field| field.split_once('='));
                fields
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value)
            };
            if field("sig").is_none() || field("sr").is_none() {
                return Err("is not SharedAccessSignature sr=…&sig=…&se=…&skn=…");
            }
            field("se").and_then(|seconds| seconds.parse().ok())
        } else {
            if text.is_empty() || text.contains(char::is_whitespace) {
                return Err("is neither a shared access signature nor a JSON web token");
            }
            expiry_of_jwt(text)
        };
        Ok(Self {
            text: text.to_owned(),
            expires,
        })
    }

    /// Whether it is a shared access signature and not a JSON web token.
    pub(crate) fn is_signature(&self) -> bool {
        self.text.starts_with(SAS_PREFIX)
    }

    /// How long it is still valid; a century if it does not say.
    pub(crate) fn left(&self) -> Duration {
        let now = now_seconds();
        match self.expires {
            Some(at) => Duration::from_secs(at.saturating_sub(now)),
            None => Duration::from_secs(100 * 365 * 86_400),
        }
    }
}

/// The claim `exp`. Other kinds of tokens have none.
fn expiry_of_jwt(text: &str) -> Option<u64> {
    let claims = text.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD
        .decode(claims.trim_end_matches('='))
        .ok()?;
    let claims: Json = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_u64()
}

/// An application's own source of tokens. Called only on the thread of its own calls.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// A token for `audience` (`sb://host/entity`).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`] if the application threw, Authentication or Config if its
    /// result is not a token.
    fn token(&self, audience: &str) -> Result<Token>;

    /// Distinguishes sources: connections with the same number are shared.
    fn number(&self) -> u64;
}

/// The option `token`.
#[derive(Debug, Clone)]
pub enum TokenOption {
    /// One token.
    Fixed(Token),
    /// Tokens on demand.
    Source(Arc<dyn TokenSource>),
}

impl PartialEq for TokenOption {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (TokenOption::Fixed(one), TokenOption::Fixed(two)) => one == two,
            (TokenOption::Source(one), TokenOption::Source(two)) => one.number() == two.number(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_kinds_say_when_they_end() {
        let sas = "SharedAccessSignature sr=sb%3A%2F%2Fns&sig=abc%3D&se=1893456000&skn=Root";
        let token = Token::read(sas).unwrap();
        assert_eq!(token.expires, Some(1_893_456_000));
        assert!(token.is_signature());
        // {"alg":"none"} . {"aud":"x","exp":1893456001}
        let jwt = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4IiwiZXhwIjoxODkzNDU2MDAxfQ.sig";
        let token = Token::read(jwt).unwrap();
        assert_eq!(token.expires, Some(1_893_456_001));
        assert!(!token.is_signature());
    }

    #[test]
    fn a_token_of_unknown_kind_has_no_end() {
        let token = Token::read("opaque").unwrap();
        assert_eq!(token.expires, None);
        assert!(token.left() > Duration::from_secs(86_400));
    }

    #[test]
    fn what_is_no_token_is_not_repeated() {
        for text in ["", "SharedAccessSignature s3cret", "two s3crets"] {
            assert!(!Token::read(text).unwrap_err().contains("s3cret"));
        }
        let token = Token::read("s3cret").unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
