//! The options for message properties of jobs that do not set them.

use crate::error::Result;
use crate::settings::input::Input;
use crate::settings::options::QueueOptions;

impl QueueOptions {
    /// Reads one of these options; false if `name` is another one.
    pub(super) fn read_property(&mut self, name: &str, value: &Input, path: &str) -> Result<bool> {
        if !["content_type", "content_encoding", "reply_to", "user_id"].contains(&name) {
            return Ok(false);
        }
        let text = Some(value.not_empty(path)?.into());
        let properties = self.properties.get_or_insert_with(Box::default);
        match name {
            "content_type" => properties.content_type = text,
            "content_encoding" => properties.content_encoding = text,
            "reply_to" => properties.reply_to = text,
            _ => properties.user_id = text,
        }
        properties.check().map_err(|error| error.context(path))?;
        Ok(true)
    }
}
