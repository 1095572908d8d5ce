//! Claims-based security: handles tokens that are put to `$cbs`.

use serde_amqp::Value;

use super::answer::Answer;
use super::request::Request;
use super::Caller;
use crate::servicebus::facts::{self, condition};
use crate::servicebus::model::namespace::Namespace;
use crate::servicebus::sas::{self, Claim};

/// Checks a token; returns the access that it grants.
pub(super) fn put_token(
    request: &Request,
    caller: &Caller<'_>,
    namespace: &Namespace,
) -> (Answer, Option<Claim>) {
    let (mut answer, claim) = match check(request, caller, namespace) {
        Ok(claim) => (Answer::with(202, "Accepted", Value::Null), Some(claim)),
        Err(answer) => (answer, None),
    };
    answer.is_cbs = true;
    (answer, claim)
}

fn check(request: &Request, caller: &Caller<'_>, namespace: &Namespace) -> Result<Claim, Answer> {
    let bad = |text: String| Answer::failed(400, condition::NOT_ALLOWED, text);
    let operation = request.text("operation").unwrap_or_default();
    if operation != "put-token" {
        return Err(bad(format!(
            "The operation '{operation}' is not put-token."
        )));
    }
    let kind = request.text("type").unwrap_or_default();
    if !facts::TOKEN_TYPES.contains(&kind) {
        return Err(bad(format!(
            "Tokens of the type '{kind}' are not supported."
        )));
    }
    let audience = request.text("name");
    let audience = audience.ok_or_else(|| bad("The property 'name' is missing.".to_owned()))?;
    let token = match &request.body.0 {
        Value::String(token) => token,
        _ => return Err(bad("The body is not a string.".to_owned())),
    };
    let claim = sas::check(token, audience, &caller.shared.settings, caller.now)
        .map_err(|text| Answer::failed(401, condition::UNAUTHORIZED_ACCESS, text))?;
    // The broker's own nodes are not entities.
    let path = sas::path(audience);
    if path.starts_with('$') || namespace.has_below(&path) {
        return Ok(claim);
    }
    let text = format!("The messaging entity '{audience}' could not be found.");
    Err(Answer::failed(404, condition::NOT_FOUND, text))
}
