//! A queue's way to its broker: the pooled connection, what is declared over it, its senders.
//!
//! # What is tried again, and by whom
//!
//! From the outside in. Each handles its own reason and hands on every other error, and the call's deadline ends them
//! all. The pauses are in [`crate::base::pauses`], Service Bus' own in its folder.
//!
//! | who | tries again | because | pause, at the most |
//! |---|---|---|---|
//! | `publish::publisher::resend` | one job | it was sent, and lost or refused before it was confirmed | `RESEND_STEP` for each time, or what the dialect says of the condition |
//! | `receive`: attaching | one link | a passing reason; a queue that was deleted is declared again, a token renewed, once | `ATTACH`, or the dialect's; `REST` when it failed |
//! | [`definition::Definition::surviving`] | dialling, declaring, attaching: what leads to a link | a connection was lost under it | `AFTER_LOSS`, no limit |
//! | `brokers::tools::again` | a request to a broker's own node, a question by attaching | its links ended, the connection stands | `NODE`, `NODE_TRIES` |
//! | a wing's companion | a request | the broker's answer says that it passes | the broker's documentation |
//! | [`pool`]: dialling | one connection | it was lost: dialled again until the option `redial_timeout` is over | [`crate::base::backoff`] |
//!
//! So a job that is lost with its connection is sent again by `resend`, whose route goes through `surviving`, whose work
//! dials through the pool. What was never reached is not dialled again: that error is final at once. An error that lasts
//! (a refusal by condition) is final the second time. Nobody but `resend` sends a job twice, and only under its id.

pub(crate) mod connected;
pub(crate) mod definition;
pub(crate) mod destination;
pub(crate) mod pool;
