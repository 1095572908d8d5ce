//! The flow frame by which a receiver grants credit: at a prefetch of one, there is one a job.

use super::{frame, write};

/// What a flow frame of a receiver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// `None` until the peer's begin has arrived.
    pub next_incoming_id: Option<u32>,
    /// incoming-window
    pub incoming_window: u32,
    /// next-outgoing-id
    pub next_outgoing_id: u32,
    /// outgoing-window
    pub outgoing_window: u32,
    /// Our handle of the link.
    pub handle: u32,
    /// `None` until the sender has defined it.
    pub delivery_count: Option<u32>,
    /// link-credit
    pub link_credit: u32,
    /// Whether the sender must use it up.
    pub drain: bool,
}

/// Encodes a flow frame that grants credit. With a prefetch of one there is one for each job, so it
/// is not left to [`encode_performative`], which takes ten times as long.
pub fn encode(out: &mut Vec<u8>, channel: u16, credit: &Credit) {
    let optional = |out: &mut Vec<u8>, value: Option<u32>| match value {
        Some(value) => write::uint(out, value),
        None => write::null(out),
    };
    frame::encode(out, channel, |out| {
        write::descriptor(out, 0x13);
        write::list(out, |out| {
            optional(out, credit.next_incoming_id);
            write::uint(out, credit.incoming_window);
            write::uint(out, credit.next_outgoing_id);
            write::uint(out, credit.outgoing_window);
            write::uint(out, credit.handle);
            optional(out, credit.delivery_count);
            write::uint(out, credit.link_credit);
            write::null(out);
            write::bool(out, credit.drain);
            9
        });
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;
    use fe2o3_amqp::frames::amqp::FrameBody;

    use super::*;

    #[test]
    fn fe2o3_reads_the_credit_that_we_grant() {
        for (begun, counted, drain) in [(None, None, false), (Some(0x1_0000), Some(0), true)] {
            let credit = Credit {
                next_incoming_id: begun,
                incoming_window: 4096,
                next_outgoing_id: 0,
                outgoing_window: u32::MAX >> 1,
                handle: 3,
                delivery_count: counted,
                link_credit: 200,
                drain,
            };
            let mut out = Vec::new();
            encode(&mut out, 7, &credit);
            let (channel, frame) = frame::decode(&mut BytesMut::from(&out[..]), 1024)
                .unwrap()
                .unwrap();
            let frame::Frame::Other(body) = frame else {
                panic!("not a flow");
            };
            let FrameBody::Flow(flow) = *body else {
                panic!("not a flow");
            };
            assert_eq!(
                (channel, flow.next_incoming_id, flow.incoming_window),
                (7, begun, 4096)
            );
            assert_eq!(
                (flow.next_outgoing_id, flow.outgoing_window),
                (0, u32::MAX >> 1)
            );
            assert_eq!(flow.handle.map(|handle| handle.0), Some(3));
            assert_eq!(
                (flow.delivery_count, flow.link_credit),
                (counted, Some(200))
            );
            assert_eq!(
                (flow.available, flow.drain, flow.echo),
                (None, drain, false)
            );
        }
    }
}
