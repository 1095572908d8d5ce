//! Entry point for the fuzz target `config`: a configuration's text.

use crate::config::{file, Jobs};
use crate::settings::options::QueueOptions;

/// Any text, as a file with that name: no panic, no unlimited growth, and an accepted configuration
/// can be used.
pub fn configuration(name: &str, text: &str) {
    let environment = |name: &str| match name {
        "SET" => Some(b"10".to_vec()),
        "EMPTY" => Some(Vec::new()),
        "BINARY" => Some(vec![0xff]),
        _ => None,
    };
    let Ok(input) = file::parse(name, text) else {
        return;
    };
    let Ok(jobs) = Jobs::new(&input, &environment, &QueueOptions::default()) else {
        return;
    };
    for name in jobs.names() {
        // Fails if TLS options name files, because there are none.
        if let Ok(queue) = jobs.queue(name) {
            assert_eq!(queue.name(), name);
        }
    }
    let longer_than_any = jobs.names().collect::<String>() + "x";
    assert!(jobs.queue(&longer_than_any).is_err());
    let _ = jobs.consumed();
    assert!(jobs.warnings().iter().all(|warning| !warning.is_empty()));
}
