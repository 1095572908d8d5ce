//! An observer of deliveries before PHP takes them.

use std::fmt;

use bytes::Bytes;

/// Observes the deliveries of one link.
///
/// It is called under the connection's lock, so it must neither wait nor use a connection.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// An unsettled delivery has arrived and waits for PHP; `tag` is its delivery-tag.
    fn arrived(&self, tag: &[u8], payload: &Bytes);

    /// The delivery is returned, or its link has ended, before PHP has seen it.
    fn forget(&self, tag: &[u8]);
}
