//! DSNs of any shape: no panic, and no output contains the password.
#![no_main]

use amqp1_core::endpoint::{split_query, Endpoint};
use amqp1_core::QueueOptions;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hunter2-S3cret";

fn parse(dsn: &str) -> Result<Endpoint, amqp1_core::Error> {
    let (address, query) = split_query(dsn)?;
    let options = QueueOptions::default().apply("DSN", &query)?;
    Endpoint::parse(address, &options)
}

fuzz_target!(|dsn: &str| {
    let shown = match parse(dsn) {
        Ok(endpoint) => {
            let again = parse(dsn).expect("what was read once is read again");
            assert!(endpoint == again);
            format!("{endpoint:?} {}", endpoint.label())
        }
        Err(error) => format!("{error:?}"),
    };
    drop(shown);

    // The same text with a password inserted before an `@` and after the first `:`. Only there is
    // it a password; elsewhere, a DSN may well be repeated in output.
    let middle = (0..=dsn.len() / 2)
        .rev()
        .find(|at| dsn.is_char_boundary(*at));
    let (before, after) = dsn.split_at(middle.unwrap_or(0));
    let plain = |text: &str| !text.contains(['/', '?', '@', ':', '#', ',']);
    if plain(before) && !after.contains(['@', '?']) {
        let dsn = format!("amqp://{before}:{SECRET}@{after}");
        let shown = match parse(&dsn) {
            Ok(endpoint) => format!("{endpoint:?} {}", endpoint.label()),
            Err(error) => format!("{error:?} {error}"),
        };
        assert!(!shown.contains(SECRET), "{shown}");
    }
});
