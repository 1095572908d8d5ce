//! A client of raw frames: it sends exactly the frames that a test specifies, and decodes with
//! fe2o3-amqp's codec.

use std::collections::VecDeque;

use amqp1_broker::Broker;
use bytes::{Bytes, BytesMut};
use fe2o3_amqp::frames::amqp::{FrameBody, FrameDecoder};
use fe2o3_amqp_types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::{Attach, Begin, Disposition, Flow, Open, Transfer};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::codec::Decoder;

use super::{soon, stream};

pub const HEADER: &[u8] = b"AMQP\x00\x01\x00\x00";

pub struct Raw {
    pub stream: DuplexStream,
    input: BytesMut,
    frames: VecDeque<FrameBody>,
}

pub fn frame(channel: u16, performative: &impl Serialize, payload: &[u8]) -> Vec<u8> {
    let mut body = serde_amqp::to_vec(performative).unwrap();
    body.extend_from_slice(payload);
    let mut frame = (body.len() as u32 + 8).to_be_bytes().to_vec();
    frame.extend_from_slice(&[2, 0]);
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

pub fn open() -> Open {
    Open {
        container_id: "raw".into(),
        hostname: None,
        max_frame_size: 65536.into(),
        channel_max: 10.into(),
        idle_time_out: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub fn begin(incoming_window: u32) -> Begin {
    Begin {
        remote_channel: None,
        next_outgoing_id: 0,
        incoming_window,
        outgoing_window: 1000,
        handle_max: Handle(100),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub fn attach(name: &str, handle: u32, role: Role, address: Option<&str>) -> Attach {
    let mut source = Source::default();
    let mut target = Target::default();
    match role {
        Role::Sender => target.address = address.map(Into::into),
        Role::Receiver => source.address = address.map(Into::into),
    }
    Attach {
        name: name.into(),
        handle: Handle(handle),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        role,
        snd_settle_mode: SenderSettleMode::Unsettled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(source)),
        target: Some(Box::new(TargetArchetype::Target(target))),
        unsettled: None,
        incomplete_unsettled: false,
        max_message_size: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub fn transfer(handle: u32, id: Option<u32>, more: bool) -> Transfer {
    Transfer {
        handle: Handle(handle),
        delivery_id: id,
        delivery_tag: id.map(|id| id.to_be_bytes().to_vec().into()),
        message_format: Some(0),
        settled: Some(false),
        more,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
    }
}

pub fn flow(handle: Option<u32>, delivery_count: u32, credit: u32) -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: 1000,
        next_outgoing_id: 0,
        outgoing_window: 1000,
        handle: handle.map(Handle),
        delivery_count: handle.map(|_| delivery_count),
        link_credit: handle.map(|_| credit),
        available: None,
        drain: false,
        echo: false,
        properties: None,
    }
}

pub fn disposition(first: u32, last: u32, settled: bool) -> Disposition {
    Disposition {
        role: Role::Receiver,
        first,
        last: Some(last),
        settled,
        state: Some(fe2o3_amqp_types::messaging::Accepted {}.into()),
        batchable: false,
    }
}

/// A message with one small data section.
pub const MESSAGE: &[u8] = b"\x00\x53\x75\xa0\x02hi";

impl Raw {
    /// A stream to the broker without any bytes sent yet.
    pub fn silent(broker: &Broker) -> Self {
        Self {
            stream: stream(broker),
            input: BytesMut::new(),
            frames: VecDeque::new(),
        }
    }

    /// An open connection with a session on channel 0.
    pub async fn connect(broker: &Broker, incoming_window: u32) -> Self {
        let mut raw = Self::silent(broker);
        raw.say(HEADER).await;
        raw.send(&open()).await;
        raw.send(&begin(incoming_window)).await;
        raw.expect_header().await;
        assert!(matches!(raw.next().await, FrameBody::Open(_)));
        assert!(matches!(raw.next().await, FrameBody::Begin(_)));
        raw
    }

    pub async fn say(&mut self, octets: &[u8]) {
        soon("write", self.stream.write_all(octets)).await.unwrap();
    }

    pub async fn send(&mut self, performative: &impl Serialize) {
        self.say(&frame(0, performative, b"")).await;
    }

    pub async fn send_with(&mut self, performative: &impl Serialize, payload: &[u8]) {
        self.say(&frame(0, performative, payload)).await;
    }

    /// Attaches, and reads the broker's attach and, for a sender, its credit.
    pub async fn attach(&mut self, attach: &Attach) -> Attach {
        self.send(attach).await;
        let FrameBody::Attach(answer) = self.next().await else {
            panic!("no attach");
        };
        if attach.role == Role::Sender && answer.target.is_some() {
            assert!(matches!(self.next().await, FrameBody::Flow(_)));
        }
        answer
    }

    pub async fn expect_header(&mut self) {
        let mut header = [0; 8];
        soon("header", self.stream.read_exact(&mut header))
            .await
            .unwrap();
        assert_eq!(header, HEADER);
    }

    /// The next frame, without heartbeats.
    pub async fn next(&mut self) -> FrameBody {
        loop {
            match self.next_or_end().await {
                Some(FrameBody::Empty) => {}
                Some(frame) => return frame,
                None => panic!("the stream has ended"),
            }
        }
    }

    /// The next frame of any kind; `None` at the end of the stream.
    pub async fn next_or_end(&mut self) -> Option<FrameBody> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if self.input.len() >= 4 {
                let size = u32::from_be_bytes(self.input[..4].try_into().unwrap()) as usize;
                if self.input.len() >= size {
                    let mut frame = self.input.split_to(size).split_off(4);
                    let frame = FrameDecoder {}.decode(&mut frame).unwrap().unwrap();
                    self.frames.push_back(frame.body);
                    continue;
                }
            }
            if soon("frame", self.stream.read_buf(&mut self.input))
                .await
                .unwrap()
                == 0
            {
                return None;
            }
        }
    }

    /// The next transfer and its payload.
    pub async fn transfer(&mut self) -> (Transfer, Bytes) {
        match self.next().await {
            FrameBody::Transfer {
                performative,
                payload,
            } => (performative, payload),
            other => panic!("no transfer: {other:?}"),
        }
    }

    /// Asks the session to answer; returns the frames that the broker sent before its answer.
    pub async fn sync(&mut self, mut flow: Flow) -> Vec<FrameBody> {
        flow.echo = true;
        self.send(&flow).await;
        let mut before = Vec::new();
        loop {
            match self.next().await {
                FrameBody::Flow(_) => return before,
                other => before.push(other),
            }
        }
    }
}
