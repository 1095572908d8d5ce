//! Replies to this process's requests: where they arrive, and for whom.

pub(crate) mod inbox;
pub(crate) mod inboxes;
pub mod reply;
