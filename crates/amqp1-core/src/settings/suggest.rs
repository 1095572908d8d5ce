//! "Did you mean": the nearest known name for a mistyped one.

/// The name in `known` nearest to `given`, if it is near enough to be a typing mistake.
#[must_use]
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, name), *name))
        .filter(|(distance, name)| {
            *distance <= (name.len() / 3).max(1)
                || (given.len() >= 3 && (name.starts_with(&given) || given.starts_with(name)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `unknown option 'x' for WHAT: did you mean 'y'?`, or a list of the known options.
#[must_use]
pub fn unknown_option(what: &str, given: &str, known: &[&str]) -> String {
    match nearest(given, known) {
        Some(name) => format!("{what}: unknown option '{given}', did you mean '{name}'?"),
        None => format!(
            "{what}: unknown option '{given}'; known options: {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_and_nothing_far() {
        let known = ["priority", "delay", "headers", "routing_key"];
        assert_eq!(nearest("prioritty", &known), Some("priority"));
        assert_eq!(nearest("header", &known), Some("headers"));
        assert_eq!(nearest("routing-key", &known), Some("routing_key"));
        assert_eq!(nearest("colour", &known), None);
    }
}
