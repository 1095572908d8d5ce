//! A queue's access to its broker: the pooled connection, the declarations, the senders. Names no
//! broker.
//!
//! # What is retried, and where
//!
//! From the outermost retry to the innermost. Each one handles its own reason and returns every
//! other error; the call's deadline ends them all. [`crate::base::pauses`] defines the pauses,
//! except Service Bus' own.
//!
//! | who | retries | because | pause, at most |
//! |---|---|---|---|
//! | `publish::publisher::resend` | one job | it was sent, and lost or refused before it was confirmed | `RESEND_STEP` for each time, or the dialect's for the condition |
//! | `receive`: attaching | one link | the reason is temporary; a deleted queue is declared again and a token renewed, once | `ATTACH`, or the dialect's; `REST` after a failure |
//! | [`definition::Definition::surviving`] | connecting, declaring, attaching: the steps to a link | a connection was lost during it | `AFTER_LOSS`, unlimited |
//! | `brokers::tools::again` | a request to a broker's own node, a question by attaching | its links ended, the connection is open | `NODE`, `NODE_TRIES` |
//! | a wing's companion | a request | the broker's answer is temporary | as the broker documents |
//! | [`pool`]: connecting | one connection | it was lost: retried until the option `redial_timeout` has passed | [`crate::base::backoff`] |
//!
//! Thus `resend` sends a job again that was lost with its connection; its route goes through
//! `surviving`, whose work connects through the pool. If the broker was never reached, the error is
//! final at once. A permanent error (a refusal by condition) is final the second time. Only
//! `resend` sends a job twice, and only with the same id.

pub(crate) mod blockade;
pub(crate) mod connected;
pub(crate) mod definition;
pub(crate) mod destination;
pub(crate) mod pool;
mod told;
