//! Telling a forked child from its parent.

/// Differs between a process and its forked children: what was made under
/// another generation belongs to the parent and is neither used nor torn down.
#[must_use]
pub fn generation() -> u64 {
    u64::from(std::process::id())
}
