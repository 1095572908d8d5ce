//! Protocol headers, SASL and `open` (AMQP 1.0 2.2, 2.4.1, 5.3).

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp::frames::sasl;
use fe2o3_amqp_types::performatives::{ChannelMax, MaxFrameSize, Open};
use fe2o3_amqp_types::sasl::{SaslCode, SaslInit};
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};

use super::mechanism::Mechanism;
use super::socket::Socket;
use super::tls_error;
use crate::connection::protocol::condition::explain;
use crate::connection::protocol::remote::Remote;
use crate::connection::protocol::MAX_FRAME_SIZE;
use crate::error::{Error, Result};
use crate::settings::endpoint::{Endpoint, Target};
use crate::settings::options::TlsOptions;
use crate::wire::frame::{self, Frame};
use crate::wire::guard::check_performative;

const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// The largest frame that a broker may send before its `open`, to limit memory.
const MAX_HANDSHAKE_FRAME: usize = 64 * 1024;

/// A connection after the exchange of `open`, with any bytes that followed.
pub(crate) struct Opened {
    pub socket: Socket,
    pub remote: Remote,
    pub input: BytesMut,
}

const SPEAKS_TLS: &str = "the broker expects TLS on this port: use amqps://";

/// Whether the bytes are a TLS record: an alert or a handshake.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, ..])
}

/// Reads and writes frames during the handshake.
struct Talk<'a, S> {
    stream: &'a mut S,
    input: BytesMut,
    label: &'a str,
    tls: &'a TlsOptions,
    /// The current step, for the message if the broker ends the handshake.
    step: &'static str,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    fn broken(&self, error: impl std::fmt::Display) -> Error {
        Error::connection(format!("{}: {}: {error}", self.label, self.step))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match written.await {
            Ok(()) => Ok(()),
            // The reason, such as a TLS alert, may have arrived before the connection broke.
            Err(error) => match self.stream.read_buf(&mut self.input).await {
                Err(reason) if reason.kind() == io::ErrorKind::InvalidData => {
                    Err(self.failed(&reason))
                }
                _ => Err(self.failed(&error)),
            },
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        self.broken(tls_error::explain(error, self.tls))
    }

    async fn fill(&mut self, least: usize) -> Result<()> {
        while self.input.len() < least {
            match self.stream.read_buf(&mut self.input).await {
                // A TLS alert is shorter than the expected bytes.
                Ok(0) if is_tls(&self.input) => return Err(self.broken(SPEAKS_TLS)),
                Ok(0) => return Err(self.broken("the connection was closed")),
                Ok(_) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    async fn header(&mut self, ours: [u8; 8]) -> Result<()> {
        self.fill(8).await?;
        let theirs = self.input.split_to(8);
        if theirs[..] == ours {
            return Ok(());
        }
        let hint = match (&theirs[..4], theirs[4]) {
            (b"AMQP", 0) if theirs[5..] == [0, 9, 1] => {
                "the broker speaks only AMQP 0-9-1 on this port; on RabbitMQ 3 enable the plugin rabbitmq_amqp1_0"
            }
            (b"AMQP", 0) => "the broker does not accept SASL",
            (b"AMQP", 3) => "the broker requires SASL: put user and password into the DSN",
            (b"AMQP", 2) => "the broker requires TLS: use amqps://",
            _ if is_tls(&theirs) => SPEAKS_TLS,
            (b"HTTP", _) => "this is an HTTP server",
            _ => "this is not an AMQP 1.0 broker",
        };
        Err(self.broken(hint))
    }

    async fn sasl_frame(&mut self) -> Result<sasl::Frame> {
        self.fill(8).await?;
        let length = self.input.get_u32() as usize;
        if !(8..=MAX_HANDSHAKE_FRAME).contains(&length) {
            return Err(self.broken("a malformed SASL frame"));
        }
        self.fill(length - 4).await?;
        let mut body = self.input.split_to(length - 4);
        check_performative(&body[4..]).map_err(|error| self.broken(error))?;
        match (sasl::FrameCodec {}).decode(&mut body) {
            Ok(Some(frame)) => Ok(frame),
            _ => Err(self.broken("a malformed SASL frame")),
        }
    }

    async fn write_sasl(&mut self, frame: sasl::Frame) -> Result<()> {
        let mut body = BytesMut::new();
        (sasl::FrameCodec {})
            .encode(frame, &mut body)
            .map_err(|_| self.broken("a SASL frame that cannot be written"))?;
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        self.write(&bytes).await
    }

    async fn sasl(&mut self, mechanism: &Mechanism, hostname: &str) -> Result<()> {
        self.step = "waiting for the SASL header";
        self.write(&SASL_HEADER).await?;
        self.header(SASL_HEADER).await?;
        self.step = "waiting for the SASL mechanisms";
        let offered: Vec<String> = match self.sasl_frame().await? {
            sasl::Frame::Mechanisms(offer) => offer
                .sasl_server_mechanisms
                .into_inner()
                .into_iter()
                .map(Symbol::into_inner)
                .collect(),
            _ => return Err(self.broken("another SASL frame came instead")),
        };
        let name = mechanism.name();
        if !offered.iter().any(|offered| offered == name) {
            let hint = match mechanism {
                Mechanism::Anonymous => "; put user and password into the DSN",
                Mechanism::External => "; it does not accept client certificates on this port",
                Mechanism::Plain(..) => "",
            };
            return Err(Error::authentication(format!(
                "{}: the broker does not offer SASL {name}, only {}{hint}",
                self.label,
                offered.join(", ")
            )));
        }
        self.step = "waiting for the SASL outcome";
        self.write_sasl(sasl::Frame::Init(SaslInit {
            mechanism: Symbol::new(name),
            initial_response: Some(mechanism.response().into()),
            hostname: Some(hostname.to_owned()),
        }))
        .await?;
        match self.sasl_frame().await? {
            sasl::Frame::Outcome(outcome) if outcome.code == SaslCode::Ok => Ok(()),
            sasl::Frame::Outcome(outcome) if outcome.code == SaslCode::Auth => {
                let hint = match mechanism {
                    Mechanism::External => "does a user with the name in the certificate exist?",
                    _ => "check user and password",
                };
                Err(Error::authentication(format!(
                    "{}: the broker refused the credentials (SASL {name}); {hint}",
                    self.label
                )))
            }
            sasl::Frame::Outcome(outcome) => Err(self.broken(format!(
                "SASL {name} failed with code {}",
                outcome.code as u8
            ))),
            _ => Err(self.broken("the broker asked for more than the SASL mechanism has")),
        }
    }

    async fn open(&mut self, open: &Open) -> Result<Remote> {
        self.step = "waiting for the AMQP header";
        let mut bytes = AMQP_HEADER.to_vec();
        frame::encode_performative(&mut bytes, 0, open).map_err(|error| self.broken(error))?;
        self.write(&bytes).await?;
        self.header(AMQP_HEADER).await?;
        self.step = "waiting for the broker's open";
        loop {
            let decoded = frame::decode(&mut self.input, MAX_HANDSHAKE_FRAME as u32);
            match decoded.map_err(|error| self.broken(error))? {
                None => {
                    let more = self.input.len() + 1;
                    self.fill(more).await?;
                }
                Some((_, Frame::Empty)) => {}
                Some((_, Frame::Other(body))) => match *body {
                    FrameBody::Open(open) => return Ok(remote(open)),
                    FrameBody::Close(close) => {
                        let what = format!("{} closed the connection at open", self.label);
                        return Err(explain(&what, close.error.as_ref()));
                    }
                    _ => return Err(self.broken("another frame came instead")),
                },
                Some(_) => return Err(self.broken("another frame came instead")),
            }
        }
    }
}

fn remote(open: Open) -> Remote {
    let property = |name: &str| {
        let properties = open.properties.as_ref();
        match properties.and_then(|map| map.get(&Symbol::from(name))) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Symbol(text)) => text.as_str().to_owned(),
            _ => String::new(),
        }
    };
    Remote {
        product: property("product"),
        version: property("version"),
        capabilities: open
            .offered_capabilities
            .into_iter()
            .flat_map(|list| list.into_inner())
            .map(Symbol::into_inner)
            .collect(),
        container_id: open.container_id,
        max_frame_size: open.max_frame_size.0.clamp(512, MAX_FRAME_SIZE),
        channel_max: open.channel_max.0,
        idle_time_out: open
            .idle_time_out
            .filter(|milliseconds| *milliseconds > 0)
            .map(|milliseconds| Duration::from_millis(u64::from(milliseconds))),
    }
}

/// Authenticates and opens. The caller's deadline may cancel it.
///
/// # Errors
/// Connection errors with the endpoint and the step; [`crate::ErrorKind::Authentication`] if the
/// credentials are refused.
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    endpoint: &Endpoint,
    label: &str,
    host: &str,
    container_id: String,
) -> Result<(Remote, BytesMut)> {
    let mut talk = Talk {
        stream,
        input: BytesMut::with_capacity(4096),
        label,
        tls: &endpoint.tls,
        step: "",
    };
    let mechanism = Mechanism::of(endpoint);
    talk.sasl(&mechanism, host).await?;
    let hostname = match &endpoint.vhost {
        // In this form, the hostname selects RabbitMQ's virtual host.
        Some(vhost) => format!("vhost:{vhost}"),
        None => host.to_owned(),
    };
    let open = Open {
        container_id,
        hostname: Some(hostname),
        // None: see `arriving` in the protocol.
        max_frame_size: MaxFrameSize(u32::MAX),
        channel_max: ChannelMax(1023),
        idle_time_out: Some(endpoint.heartbeat.as_millis().min(u128::from(u32::MAX)) as u32),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: Some(
            [
                ("product", "amqp1 for PHP"),
                ("version", env!("CARGO_PKG_VERSION")),
                ("platform", std::env::consts::OS),
            ]
            .into_iter()
            .map(|(name, value)| (Symbol::from(name), Value::from(value.to_owned())))
            .collect(),
        ),
    };
    let remote =
        talk.open(&open)
            .await
            .map_err(|error| match (&endpoint.vhost, &endpoint.target) {
                (Some(vhost), Target::Network { .. }) => {
                    error.context(format!("opening virtual host '{vhost}' (does it exist?)"))
                }
                _ => error,
            })?;
    Ok((remote, talk.input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_tls_is_known_by_its_first_bytes() {
        assert!(is_tls(&[0x15, 3, 3, 0, 2, 2, 70]));
        assert!(!is_tls(b"AMQP\x00\x01\x00\x00"));
        assert!(!is_tls(&[0x15]));
    }
}
