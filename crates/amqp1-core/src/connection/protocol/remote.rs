//! The broker's description of itself in `open`.

use std::time::Duration;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub container_id: String,
    pub product: String,
    pub version: String,
    pub capabilities: Vec<String>,
    pub max_frame_size: u32,
    pub channel_max: u16,
    pub idle_time_out: Option<Duration>,
}

impl Remote {
    /// The most sessions on one connection.
    pub fn sessions(&self) -> usize {
        usize::from(self.channel_max) + 1
    }

    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities
            .iter()
            .any(|offered| offered == capability)
    }
}
