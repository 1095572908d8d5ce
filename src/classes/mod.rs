//! PHP's classes. Each file contains one class with its methods; helpers are in a folder with its
//! name.

pub mod consumer;
pub mod interfaces;
pub mod jobs;
pub mod observation;
pub mod peeked_task;
pub mod pending_reply;
pub mod queue;
pub mod reply;
pub mod task;
pub mod task_iterator;
pub mod testing;
