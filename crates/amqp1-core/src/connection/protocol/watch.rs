//! What wants to hear of deliveries before PHP takes them.

use std::fmt;

use bytes::Bytes;

/// Hears of the deliveries of one link.
///
/// It is told under the connection's lock: it must neither wait nor use a connection.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// An unsettled delivery has come and waits for PHP; `tag` is its delivery-tag.
    fn arrived(&self, tag: &[u8], payload: &Bytes);

    /// It goes back, or its link is over, before PHP has seen it.
    fn forget(&self, tag: &[u8]);
}
