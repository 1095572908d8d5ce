//! Options with any names, types and nesting, and the text of configuration files: no panic, limits
//! hold, and waits computed from options do not overflow.
#![no_main]

use amqp1_core::endpoint::Endpoint;
use amqp1_core::{ConsumerOptions, Input, QueueOptions, Wait};
use libfuzzer_sys::fuzz_target;

/// Reads an [`Input`] from the fuzzer's bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn eight(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 32).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn name(&mut self, names: &[&str]) -> String {
        match usize::from(self.byte()) {
            known if known < 128 => names[known % names.len()].to_owned(),
            _ => self.text(),
        }
    }

    fn value(&mut self, depth: usize) -> Input {
        match self.byte() % if depth < 8 { 8 } else { 6 } {
            0 => Input::Null,
            1 => Input::Bool(self.byte() % 2 == 0),
            2 => Input::Int(i64::from_be_bytes(self.eight())),
            3 => Input::Int(i64::from(self.byte())),
            4 => Input::Float(f64::from_be_bytes(self.eight())),
            5 => Input::Text(self.text()),
            6 => Input::List(
                (0..self.byte() % 8)
                    .map(|_| self.value(depth + 1))
                    .collect(),
            ),
            _ => self.map(
                depth,
                &[
                    "cert",
                    "key",
                    "root_ca",
                    "insecure_skip_verify",
                    "x-max-length",
                ],
            ),
        }
    }

    fn map(&mut self, depth: usize, names: &[&str]) -> Input {
        let count = self.byte() % 8;
        Input::Map(
            (0..count)
                .map(|_| (self.name(names), self.value(depth + 1)))
                .collect(),
        )
    }
}

fuzz_target!(|data: &[u8]| {
    // A file name may precede the text.
    for name in ["x.yaml", "x.json", "x.conf"] {
        if let Some(text) = data.strip_prefix(name.as_bytes()) {
            amqp1_core::fuzzing::configuration(name, &String::from_utf8_lossy(text));
            return;
        }
    }
    let mut bytes = Bytes(data);
    let input = match bytes.byte() % 8 {
        0 => bytes.value(0),
        _ => bytes.map(0, QueueOptions::NAMES),
    };
    match QueueOptions::default().apply("AmqpQueue", &input) {
        Ok(options) => {
            assert!(options.prefetch.is_none_or(|prefetch| (1..=65_535).contains(&prefetch)));
            assert!(options.heartbeat.as_secs() >= 1);
            assert_eq!(options.tls.cert.is_some(), options.tls.key.is_some());
            assert!(options.name.as_deref() != Some(""));
            for wait in [options.timeout, options.redial_timeout] {
                let _ = Wait::uninterrupted(wait)
                    .at_most(options.redial_timeout)
                    .left();
            }
            // As the connection uses the heartbeat.
            let silence = options.heartbeat + options.heartbeat / 2;
            let _ = std::time::Instant::now() + silence;
            let _ = Endpoint::parse("amqp://localhost", &options);
            // Accepted options are accepted again, with the same result.
            let again = QueueOptions::default().apply("AmqpQueue", &input);
            assert!(again.is_ok_and(|again| again == options || has_nan(&options.topology.arguments)));
        }
        Err(error) => assert!(!error.message().is_empty()),
    }
    let input = bytes.map(0, ConsumerOptions::NAMES);
    if let Ok(options) = ConsumerOptions::default().apply("Consumer", &input) {
        assert!(options
            .prefetch
            .is_none_or(|prefetch| (1..=65_535).contains(&prefetch)));
        if let Some(timeout) = options.timeout {
            let _ = Wait::uninterrupted(timeout).left();
        }
    }
});

/// NaN does not equal itself, so neither do arguments that contain it.
fn has_nan(arguments: &[(String, Input)]) -> bool {
    fn nan(input: &Input) -> bool {
        match input {
            Input::Float(number) => number.is_nan(),
            Input::List(items) => items.iter().any(nan),
            Input::Map(entries) => entries.iter().any(|(_, value)| nan(value)),
            _ => false,
        }
    }
    arguments.iter().any(|(_, value)| nan(value))
}
