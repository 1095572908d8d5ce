//! Why a job failed, as its worker says it and as it travels with the job.

/// Longest error text that travels with a failed job, in bytes.
const MAX_ERROR: usize = 4096;

/// Why a job failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error's message.
    pub message: String,
    /// The exception's class, when there was one.
    pub exception: Option<String>,
}

/// What a job in a failed queue says of its failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureFacts {
    /// `failed`, `poison`, `unknown`, or what its worker said.
    pub reason: String,
    /// The error's message.
    pub error: Option<String>,
    /// The exception's class.
    pub exception: Option<String>,
    /// The broker's name of the queue that it came from.
    pub queue: Option<String>,
    /// Attempts until then.
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
