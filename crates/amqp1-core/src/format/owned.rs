//! The properties that a format sets itself: a job may not set them to something else.

use super::envelope::{is_json, JSON};
use super::names::{self, TYPE_ANNOTATIONS};
use super::Format;
use crate::error::{Error, Result};
use crate::job::properties::JobProperties;
use crate::job::Job;

/// Checks the properties that a job or its queue sets.
///
/// # Errors
/// [`crate::ErrorKind::Config`] that names the option.
pub(super) fn check(format: Format, job: &Job<'_>, of: &JobProperties<'_>) -> Result<()> {
    let refused = |why: String| Err(Error::config(format!("job '{}': {why}", job.name)));
    for (name, _) in &of.annotations {
        if let Some(why) = names::why_reserved(name) {
            return refused(format!("annotation '{name}': {why}"));
        }
        if format == Format::Babelqueue && TYPE_ANNOTATIONS.contains(&name.as_ref()) {
            return refused(format!(
                "annotation '{name}': the format 'babelqueue' sets it to the job's name"
            ));
        }
    }
    let owned = match format {
        Format::Roadrunner => [None, None, None],
        Format::Raw => [None, None, Some(&*job.name)],
        Format::Amqp1 => [Some(JSON), Some(""), Some(&*job.name)],
        Format::Babelqueue => [Some(JSON), Some("utf-8"), Some(&*job.name)],
    };
    let given = [
        ("content_type", &of.content_type),
        ("content_encoding", &of.content_encoding),
        ("subject", &of.subject),
    ];
    for ((option, given), owned) in given.into_iter().zip(owned) {
        let (Some(given), Some(owned)) = (given, owned) else {
            continue;
        };
        if given != owned {
            let format = format.as_str();
            return refused(match owned {
                "" => format!("option '{option}': the format '{format}' has no place for it; remove the option, or use the format 'roadrunner'"),
                owned => format!("option '{option}': the format '{format}' sets it to '{owned}'; remove the option, or use the format 'roadrunner'"),
            });
        }
    }
    match &of.content_type {
        Some(given) if job.payload.json && !is_json(given.as_bytes()) => refused(format!(
            "option 'content_type' is '{given}', but a payload that is not a string is sent as JSON; encode the payload yourself and push the string, or set a type of JSON ('{JSON}', or one that ends with '+json')"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::envelope::OCTETS;

    #[test]
    fn json_is_recognised_by_type_and_suffix() {
        for json in [
            "application/json",
            "application/json; charset=utf-8",
            "application/vnd.acme+json",
            "application/ld+json ; profile=\"a+b\"",
        ] {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        for other in ["text/plain", OCTETS, "", "json", "text/plain; a=+json"] {
            assert!(!is_json(other.as_bytes()), "{other}");
        }
    }
}
