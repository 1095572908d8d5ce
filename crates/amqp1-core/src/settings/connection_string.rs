//! Connection strings as the Azure portal shows them.

use super::access::Access;
use super::token::Token;
use crate::error::{Error, Result};

/// A parsed connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionString {
    /// `host` or `host:port`.
    pub authority: String,
    pub access: Access,
    /// The queue or topic that it is for.
    pub entity: Option<String>,
    /// Whether it is for Microsoft's emulator, which has no TLS.
    pub emulator: bool,
}

/// The expected form, for messages.
const SHAPE: &str =
    "Endpoint=sb://namespace.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…";

/// Whether this is `Endpoint=sb://…;…` and not `scheme://…`.
pub(crate) fn is_one(dsn: &str) -> bool {
    let before_slashes = dsn.split("://").next().unwrap_or(dsn);
    before_slashes.contains('=')
        && pairs(dsn).any(|(name, _)| name.eq_ignore_ascii_case("Endpoint"))
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split(';').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// Parses a connection string. Messages never repeat a value, because one of them is the key.
///
/// # Errors
/// [`crate::ErrorKind::Config`] that says which part is invalid.
pub(crate) fn parse(text: &str) -> Result<ConnectionString> {
    let (mut endpoint, mut rule, mut key, mut signature) = (None, None, None, None);
    let (mut entity, mut emulator) = (None, false);
    for (name, value) in pairs(text) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "endpoint" => &mut endpoint,
            "sharedaccesskeyname" => &mut rule,
            "sharedaccesskey" => &mut key,
            "sharedaccesssignature" => &mut signature,
            "entitypath" => &mut entity,
            "usedevelopmentemulator" => {
                emulator = match value.to_ascii_lowercase().as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(wrong("UseDevelopmentEmulator is neither true nor false")),
                };
                continue;
            }
            // Unknown parts belong to other services or later versions. They are ignored, as in
            // Microsoft's libraries.
            _ => continue,
        };
        if value.is_empty() {
            return Err(wrong("one of its parts has no value"));
        }
        if slot.replace(value).is_some() {
            return Err(wrong("one of its parts occurs twice"));
        }
    }
    let endpoint = endpoint.ok_or_else(|| wrong("it has no Endpoint"))?;
    let authority = endpoint
        .split_once("://")
        .filter(|(scheme, _)| {
            scheme.eq_ignore_ascii_case("sb") || scheme.eq_ignore_ascii_case("amqps")
        })
        .map(|(_, authority)| authority.trim_end_matches('/'))
        .filter(|authority| !authority.is_empty() && !authority.contains(['/', '@', '?']))
        .ok_or_else(|| wrong("Endpoint is not sb://host/"))?;
    let access = match (rule, key, signature) {
        (Some(rule), Some(key), None) => Access::Key {
            rule: rule.to_owned(),
            key: key.to_owned(),
        },
        (None, None, Some(signature)) => {
            let token = Token::read(signature);
            if !token.is_ok_and(|token| token.is_signature()) {
                return Err(wrong(
                    "SharedAccessSignature is not SharedAccessSignature sr=…&sig=…&se=…&skn=…",
                ));
            }
            Access::Token(signature.to_owned())
        }
        // The option `token` provides the token.
        (None, None, None) => Access::Sasl,
        (Some(_), Some(_), Some(_)) => {
            return Err(wrong(
                "it has both a SharedAccessKey and a SharedAccessSignature",
            ))
        }
        _ => {
            return Err(wrong(
                "it needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature",
            ))
        }
    };
    Ok(ConnectionString {
        authority: authority.to_owned(),
        access,
        entity: entity.map(str::to_owned),
        emulator,
    })
}

fn wrong(why: &str) -> Error {
    Error::config(format!(
        "DSN: invalid Service Bus connection string: {why}; expected {SHAPE}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_portals_string() {
        let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=a+b/c==;EntityPath=orders";
        assert!(is_one(text));
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.authority, "ns.servicebus.windows.net");
        assert_eq!(
            parsed.access,
            Access::Key {
                rule: "Root".to_owned(),
                key: "a+b/c==".to_owned()
            }
        );
        assert_eq!(parsed.entity.as_deref(), Some("orders"));
        assert!(!parsed.emulator);
    }

    #[test]
    fn any_order_and_case_and_the_emulator() {
        let text = " SharedAccessKey = SAS_KEY_VALUE= ;sharedaccesskeyname=Root;usedevelopmentemulator=TRUE; ENDPOINT = sb://localhost:5673;";
        assert!(is_one(text));
        let parsed = parse(text).unwrap();
        let Access::Key { key, .. } = &parsed.access else {
            panic!("{parsed:?}");
        };
        assert_eq!(key, "SAS_KEY_VALUE=");
        assert_eq!(parsed.authority, "localhost:5673");
        assert!(parsed.emulator);
    }

    #[test]
    fn a_signature_in_place_of_the_key() {
        let text = "Endpoint=sb://ns.servicebus.windows.net;SharedAccessSignature=SharedAccessSignature sr=sb%3A%2F%2Fns&sig=abc%3D&se=1893456000&skn=Root";
        let parsed = parse(text).unwrap();
        assert!(matches!(parsed.access, Access::Token(token) if token.ends_with("skn=Root")));
    }

    #[test]
    fn dsns_are_not_taken_for_one() {
        for dsn in [
            "amqp://user:a;Endpoint=b@host",
            "amqps://host/?name=x;Endpoint=y",
            "embedded://a",
            "localhost",
            "",
        ] {
            assert!(!is_one(dsn), "{dsn}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_key() {
        for text in [
            "Endpoint=sb://ns/;SharedAccessKeyName=Root",
            "Endpoint=sb://ns/;SharedAccessKey=s3cret",
            "Endpoint=sb://ns/;SharedAccessKeyName=;SharedAccessKey=s3cret",
            "Endpoint=;SharedAccessKeyName=Root;SharedAccessKey=s3cret",
            "Endpoint=s3cret;SharedAccessKeyName=Root;SharedAccessKey=s3cret",
            "Endpoint=http://ns/;SharedAccessKeyName=Root;SharedAccessKey=s3cret",
            "Endpoint=sb://root:s3cret@ns/;SharedAccessKeyName=Root;SharedAccessKey=s3cret",
            "Endpoint=sb://ns/;SharedAccessKeyName=Root;SharedAccessKey=s3cret;SharedAccessKey=s3cret",
            "Endpoint=sb://ns/;SharedAccessKeyName=R;SharedAccessKey=s3cret;SharedAccessSignature=s3cret",
            "Endpoint=sb://ns/;SharedAccessSignature=s3cret",
            "Endpoint=sb://ns/;SharedAccessKeyName=R;SharedAccessKey=s3cret;UseDevelopmentEmulator=yes",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Config);
            assert!(!error.message().contains("s3cret"), "{error}");
        }
    }
}
