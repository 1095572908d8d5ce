//! PHP's classes. Each file is one class and its methods.

pub mod consumer;
pub mod jobs;
pub mod queue;
pub mod task;
pub mod task_iterator;
