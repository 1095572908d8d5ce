//! Why a job failed: as its worker states it, and as the message carries it.

/// The longest error text in a failed job's message, in bytes.
const MAX_ERROR: usize = 4096;

/// Why a job failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error's message.
    pub message: String,
    /// The exception's class, if there was one.
    pub exception: Option<String>,
}

/// The failure that a job in a failed queue carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureFacts {
    /// `failed`, `poison`, `unknown`, or the worker's own reason.
    pub reason: String,
    /// The error's message.
    pub error: Option<String>,
    /// The exception's class.
    pub exception: Option<String>,
    /// The broker's name of the original queue.
    pub queue: Option<String>,
    /// Attempts up to the failure.
    pub attempts: u32,
    /// Unix milliseconds.
    pub failed_at: Option<i64>,
}

/// The text, cut at a character boundary if it is too long.
pub(crate) fn bounded(text: &str) -> &str {
    if text.len() <= MAX_ERROR {
        return text;
    }
    let mut end = MAX_ERROR;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
