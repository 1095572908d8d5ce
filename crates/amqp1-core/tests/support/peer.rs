//! A scripted broker on loopback: it sends exactly what a test specifies.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use amqp1_core::wire::frame::{self, Frame};
use bytes::BytesMut;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::{Attach, Begin, Flow, Open};
use serde::Serialize;

pub const SASL: &[u8] = b"AMQP\x03\x01\x00\x00";
pub const AMQP: &[u8] = b"AMQP\x00\x01\x00\x00";
/// sasl-mechanisms: ANONYMOUS.
pub const MECHANISMS: &[u8] =
    b"\0\0\0\x1c\x02\x01\0\0\0\x53\x40\xc0\x0f\x01\xe0\x0c\x01\xa3\x09ANONYMOUS";
/// sasl-outcome: ok.
pub const OUTCOME: &[u8] = b"\0\0\0\x10\x02\x01\0\0\0\x53\x44\xc0\x03\x01\x50\x00";

/// The address of the script.
pub struct Peer {
    pub dsn: String,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// Runs `script` for each connection, in a thread that is never joined.
    pub fn start(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (script, count) = (Arc::new(script), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let script = script.clone();
                std::thread::spawn(move || {
                    stream
                        .set_read_timeout(Some(Duration::from_secs(10)))
                        .unwrap();
                    stream.set_nodelay(true).unwrap();
                    script(&mut Talk::new(stream))
                });
            }
        });
        let options = "declare=false&timeout=1&redial_timeout=0.2";
        Self {
            dsn: format!("amqp://127.0.0.1:{port}?{options}"),
            connections,
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One connection of the client. Every method returns `None` once the client is gone.
pub struct Talk {
    pub stream: TcpStream,
    input: BytesMut,
    /// The role and the name in the client's last attach.
    pub link: (Role, String),
    /// The channel of the client's last frame.
    pub channel: u16,
    pub trickle: bool,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            link: (Role::Sender, String::new()),
            channel: 0,
            trickle: false,
        }
    }

    /// A client instead, which sends a good broker what no client would.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self::new(stream)
    }

    pub fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        let piece = if self.trickle { 1 } else { bytes.len().max(1) };
        for part in bytes.chunks(piece) {
            self.stream.write_all(part).ok()?;
        }
        Some(())
    }

    pub fn say(&mut self, channel: u16, performative: &impl Serialize) -> Option<()> {
        self.raw(&written(channel, performative, b""))
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        while self.input.len() < count {
            self.fill()?;
        }
        let _ = self.input.split_to(count);
        Some(())
    }

    fn fill(&mut self) -> Option<()> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) if count > 0 => self.input.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
        Some(())
    }

    /// The client's next frame, without heartbeats.
    pub fn hear(&mut self) -> Option<Frame> {
        loop {
            match frame::decode(&mut self.input, 1 << 20).expect("the client says what is AMQP") {
                Some((_, Frame::Empty)) => {}
                Some((channel, frame)) => {
                    self.channel = channel;
                    return Some(frame);
                }
                None => self.fill()?,
            }
        }
    }

    /// Skips frames until one matches.
    pub fn until(&mut self, wanted: impl Fn(&FrameBody) -> bool) -> Option<()> {
        loop {
            if let Frame::Other(body) = self.hear()? {
                if let FrameBody::Attach(attach) = &*body {
                    self.link = (attach.role.clone(), attach.name.clone());
                }
                if wanted(&body) {
                    return Some(());
                }
            }
        }
    }

    pub fn handshake(&mut self) -> Option<()> {
        self.skip(8)?;
        self.raw(SASL)?;
        self.raw(MECHANISMS)?;
        self.sasl_frame()?;
        self.raw(OUTCOME)?;
        self.skip(8)?;
        self.raw(AMQP)?;
        self.until(|body| matches!(body, FrameBody::Open(_)))?;
        self.say(0, &open())
    }

    pub fn sasl_frame(&mut self) -> Option<()> {
        while self.input.len() < 4 {
            self.fill()?;
        }
        let length =
            u32::from_be_bytes([self.input[0], self.input[1], self.input[2], self.input[3]]);
        self.skip(length as usize)
    }

    /// Up to an attached link: a sender of the client with `credit`, or its receiver, whose credit
    /// has arrived.
    pub fn attached(&mut self, credit: u32) -> Option<()> {
        self.handshake()?;
        self.until(|body| matches!(body, FrameBody::Begin(_)))?;
        self.say(0, &begin(0))?;
        self.until(|body| matches!(body, FrameBody::Attach(_)))?;
        let answer = self.attach();
        self.say(0, &answer)?;
        match self.link.0 {
            Role::Sender => self.say(0, &flow(credit)),
            Role::Receiver => self.until(|body| matches!(body, FrameBody::Flow(_))),
        }
    }

    /// The answer to the client's attach, with its own handle.
    pub fn attach(&self) -> Attach {
        let role = match self.link.0 {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        Attach {
            name: self.link.1.clone(),
            handle: Handle(3),
            initial_delivery_count: (role == Role::Sender).then_some(0),
            role,
            snd_settle_mode: Default::default(),
            rcv_settle_mode: Default::default(),
            source: Some(Box::new(Source::default())),
            target: Some(Box::new(TargetArchetype::Target(Target::default()))),
            unsettled: None,
            incomplete_unsettled: false,
            max_message_size: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// One transfer frame on channel 0.
    pub fn transfer(
        &mut self,
        handle: u32,
        id: Option<u32>,
        more: bool,
        payload: &[u8],
    ) -> Option<()> {
        let mut out = Vec::new();
        frame::encode_transfer(
            &mut out,
            0,
            handle,
            id.map(|delivery_id| frame::First {
                delivery_id,
                settled: false,
                format: 0,
            }),
            more,
            payload,
        );
        self.raw(&out)
    }

    /// Keeps the connection open and sends nothing more.
    pub fn wait(&mut self) -> Option<()> {
        loop {
            self.fill()?;
            self.input.clear();
        }
    }
}

pub fn written(channel: u16, performative: &impl Serialize, payload: &[u8]) -> Vec<u8> {
    let body = serde_amqp::to_vec(performative).unwrap();
    let mut out = Vec::new();
    frame::encode(&mut out, channel, |out| {
        out.extend_from_slice(&body);
        out.extend_from_slice(payload);
    });
    out
}

pub fn open() -> Open {
    Open {
        container_id: "hostile".into(),
        hostname: None,
        max_frame_size: 65_536.into(),
        channel_max: 10.into(),
        idle_time_out: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub fn begin(remote_channel: u16) -> Begin {
    Begin {
        remote_channel: Some(remote_channel),
        next_outgoing_id: 0,
        incoming_window: 1000,
        outgoing_window: 1000,
        handle_max: Handle(7),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub fn flow(credit: u32) -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: 1000,
        next_outgoing_id: 0,
        outgoing_window: 1000,
        handle: Some(Handle(3)),
        delivery_count: Some(0),
        link_credit: Some(credit),
        available: None,
        drain: false,
        echo: false,
        properties: None,
    }
}

/// A message with these bytes as its body.
pub fn message(body: &[u8]) -> Vec<u8> {
    let mut message = vec![0x00, 0x53, 0x75, 0xa0, body.len() as u8];
    message.extend_from_slice(body);
    message
}
