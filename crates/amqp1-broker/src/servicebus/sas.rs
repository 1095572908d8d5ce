//! Shared access signatures, and other tokens that CBS takes.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use ring::hmac;

use super::settings::ServiceBus;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The path it is for, in lower case; empty: the whole namespace.
    pub(crate) path: String,
    /// Unix milliseconds.
    pub(crate) expires_at: u64,
}

impl Claim {
    /// Whether it is for this entity.
    pub(crate) fn covers(&self, entity: &str) -> bool {
        let entity = entity.to_lowercase();
        self.path.is_empty()
            || entity == self.path
            || entity
                .strip_prefix(&self.path)
                .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Checks a token that is put for `audience`. The error is a sentence without anything secret.
pub(crate) fn check(
    token: &str,
    audience: &str,
    settings: &ServiceBus,
    now: u64,
) -> Result<Claim, String> {
    let claim = match token.strip_prefix("SharedAccessSignature ") {
        Some(fields) => signature(fields, audience, settings)?,
        None => bearer(token, audience, settings, now)?,
    };
    if claim.expires_at <= now {
        return Err("ExpiredToken: The token is expired.".to_owned());
    }
    Ok(claim)
}

fn signature(fields: &str, audience: &str, settings: &ServiceBus) -> Result<Claim, String> {
    let field = |name: &str| {
        fields
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
            .ok_or_else(|| format!("MalformedToken: '{name}' is missing."))
    };
    let (resource, expiry) = (field("sr")?, field("se")?);
    let rule = decode(field("skn")?);
    let signature = STANDARD
        .decode(decode(field("sig")?))
        .map_err(|_| "MalformedToken: 'sig' is not Base64.".to_owned())?;
    let key = settings.access_rules.iter().find(|(name, _)| *name == rule);
    let (_, key) = key.ok_or_else(|| format!("InvalidSignature: there is no rule '{rule}'."))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    // What was signed is the text as it stands in the token, still percent-encoded.
    let signed = format!("{resource}\n{expiry}");
    hmac::verify(&key, signed.as_bytes(), &signature)
        .map_err(|_| "InvalidSignature: The token has an invalid signature.".to_owned())?;
    let expiry: u64 = expiry
        .parse()
        .map_err(|_| "MalformedToken: 'se' is not a number.".to_owned())?;
    let claim = Claim {
        path: path(&decode(resource)),
        expires_at: expiry.saturating_mul(1000),
    };
    if !claim.covers(&path(audience)) {
        return Err("InvalidAudience: The token is for another resource.".to_owned());
    }
    Ok(claim)
}

fn bearer(token: &str, audience: &str, settings: &ServiceBus, now: u64) -> Result<Claim, String> {
    if !settings.bearer_tokens.iter().any(|known| known == token) {
        return Err(
            "InvalidSignature: The token is neither a shared access signature nor known."
                .to_owned(),
        );
    }
    let hour = now.saturating_add(3_600_000);
    Ok(Claim {
        path: path(audience),
        expires_at: expiry_of_jwt(token).unwrap_or(hour),
    })
}

/// `exp` of a JWT's payload, as Unix milliseconds.
fn expiry_of_jwt(token: &str) -> Option<u64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    payload.get("exp")?.as_u64()?.checked_mul(1000)
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The path of a resource URI, in lower case: its host may be any that leads here.
pub(crate) fn path(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let path = path.trim_end_matches('/').to_lowercase();
    let path = path.strip_suffix("/$management").unwrap_or(&path);
    super::address::without_sub_queue(path).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// Made with azure-servicebus 7.15.0 (`_generate_sas_token`): rule `RootManageSharedAccessKey`,
    /// key `SAS_KEY_VALUE`, `sb://localhost/orders`, expiry 1900000000.
    const FROM_SDK: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Forders&sig=0wfUzNKMIgNwcGA8%2FuuZcg34aAxbW6w9HO2hCp1i594%3D&se=1900000000&skn=RootManageSharedAccessKey";

    fn is(token: &str, audience: &str, now: u64) -> Result<Claim, String> {
        check(token, audience, &ServiceBus::default(), now)
    }

    #[test]
    fn a_signature_of_the_sdk_is_right() {
        let claim = is(FROM_SDK, "sb://localhost/orders", 0).unwrap();
        assert_eq!(claim.expires_at, 1_900_000_000_000);
        assert!(claim.covers("orders") && claim.covers("Orders/Subscriptions/a"));
        assert!(!claim.covers("orders2") && !claim.covers("other"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |token: &str, audience: &str, now| is(token, audience, now).unwrap_err();
        let orders = "sb://localhost/orders";
        assert!(error(FROM_SDK, orders, 1_900_000_000_000).starts_with("ExpiredToken"));
        assert!(error(FROM_SDK, "sb://localhost/o", 0).starts_with("InvalidAudience"));
        let other = FROM_SDK.replace("se=19", "se=29");
        assert!(error(&other, orders, 0).starts_with("InvalidSignature"));
        let rule = FROM_SDK.replace("skn=Root", "skn=root");
        assert!(error(&rule, orders, 0).contains("no rule"));
        assert!(error("SharedAccessSignature sr=a", orders, 0).contains("'se'"));
        assert!(error("ey.ey.ey", orders, 0).starts_with("InvalidSignature"));
    }

    #[test]
    fn a_known_token_has_the_expiry_it_says() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"exp":1000}"#);
        let token = format!("e30.{payload}.x");
        let settings = ServiceBus {
            bearer_tokens: vec![token.clone()],
            ..ServiceBus::default()
        };
        let claim = check(&token, "sb://h/q", &settings, 0).unwrap();
        assert_eq!(
            claim,
            Claim {
                path: "q".into(),
                expires_at: 1_000_000
            }
        );
        assert!(check(&token, "sb://h/q", &settings, 1_000_000).is_err());
    }
}
