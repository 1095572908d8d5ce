//! The queues of this process that are counted.

use std::sync::atomic::Ordering;

use super::counters::{Counters, MAX_QUEUES, QUEUES, TAKEN};
use super::per_process::PerProcess;

/// The name of all others.
const OTHERS: &str = "*";

/// Pipeline and endpoint of each place. Those of a child are its parent's, since objects from before
/// the fork know their places.
static NAMES: PerProcess<Vec<(String, String)>> = PerProcess::new();

fn with_names<T>(work: impl FnOnce(&mut Vec<(String, String)>) -> T) -> T {
    let inherit = |parents: Option<&Vec<(String, String)>>| match parents {
        Some(names) => names.clone(),
        // If another thread of the parent had locked them, these places are of nobody new.
        None => vec![(String::new(), String::new()); TAKEN.load(Ordering::Relaxed)],
    };
    NAMES.with(inherit, work)
}

/// The counters of a queue.
pub(crate) fn of(pipeline: &str, endpoint: &str) -> &'static Counters {
    with_names(|names| {
        let known = names
            .iter()
            .position(|(name, at)| name == pipeline && at == endpoint);
        match known {
            Some(place) => &QUEUES[place],
            None if names.len() < MAX_QUEUES => {
                names.push((pipeline.to_owned(), endpoint.to_owned()));
                TAKEN.store(names.len(), Ordering::Relaxed);
                &QUEUES[names.len() - 1]
            }
            None => &QUEUES[MAX_QUEUES],
        }
    })
}

/// All queues' counters, with pipeline and endpoint.
pub(crate) fn all() -> Vec<(String, String, &'static Counters)> {
    let names = with_names(|names| names.clone());
    let is_full = names.len() == MAX_QUEUES;
    let others = is_full.then(|| (OTHERS.to_owned(), OTHERS.to_owned(), &QUEUES[MAX_QUEUES]));
    let places = names.into_iter().zip(&QUEUES);
    let places = places.map(|((name, endpoint), counters)| (name, endpoint, counters));
    places.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_its_place_and_the_rest_share_one() {
        let first = of("first", "amqp://a");
        assert!(std::ptr::eq(first, of("first", "amqp://a")));
        assert!(!std::ptr::eq(first, of("first", "amqp://b")));
        let many: Vec<_> = (0..2 * MAX_QUEUES)
            .map(|number| of(&format!("many{number}"), "amqp://a"))
            .collect();
        assert!(many
            .iter()
            .rev()
            .take(MAX_QUEUES)
            .all(|one| std::ptr::eq(*one, many[many.len() - 1])));
        assert!(std::ptr::eq(first, of("first", "amqp://a")));
        assert_eq!(all().len(), MAX_QUEUES + 1);
        assert_eq!(
            all().last().map(|one| one.0.clone()).as_deref(),
            Some(OTHERS)
        );
    }
}
