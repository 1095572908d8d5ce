//! Negotiation before AMQP frames: protocol headers (AMQP 1.0 section 2.2) and SASL (section 5.3).

use bytes::BytesMut;
use fe2o3_amqp::frames::sasl::Frame as SaslFrame;
use fe2o3_amqp::transport::protocol_header::ProtocolHeader;
use fe2o3_amqp_types::sasl::{SaslChallenge, SaslCode, SaslMechanisms, SaslOutcome};
use serde_amqp::primitives::Symbol;
use serde_bytes::ByteBuf;

use crate::wire::frame::{self, FrameError};
use crate::wire::sasl;

pub(crate) const ANONYMOUS: &str = "ANONYMOUS";
pub(crate) const PLAIN: &str = "PLAIN";
pub(crate) const EXTERNAL: &str = "EXTERNAL";

/// Decides who may connect.
pub(crate) trait Authenticator {
    /// The offered SASL mechanisms.
    fn mechanisms(&self) -> &[&str];
    /// Whether AMQP without SASL is refused.
    fn needs_sasl(&self) -> bool;
    /// Whether this response of this mechanism authenticates the peer.
    fn authenticates(&mut self, mechanism: &str, response: Option<&[u8]>) -> bool;
}

/// Names and passwords; `None` admits everybody.
#[derive(Debug)]
pub(crate) struct Users<'a>(pub(crate) Option<&'a [(String, String)]>);

impl Authenticator for Users<'_> {
    /// If there are users, only PLAIN is offered: the other mechanisms check nothing here.
    fn mechanisms(&self) -> &[&str] {
        match self.0 {
            Some(_) => &[PLAIN],
            None => &[ANONYMOUS, PLAIN, EXTERNAL],
        }
    }

    fn needs_sasl(&self) -> bool {
        self.0.is_some()
    }

    fn authenticates(&mut self, mechanism: &str, response: Option<&[u8]>) -> bool {
        match (mechanism, self.0) {
            (PLAIN, None) => response.is_some_and(|r| credentials(r).is_some()),
            (PLAIN, Some(users)) => response.is_some_and(|r| user(r, users).is_some()),
            (ANONYMOUS | EXTERNAL, None) => true,
            _ => false,
        }
    }
}

/// The next step of the negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Waits for the first protocol header: SASL or AMQP.
    Header,
    /// Waits for sasl-init.
    Init,
    /// Waits for PLAIN's response, because sasl-init had none.
    Response,
    /// Waits for AMQP's protocol header after SASL.
    AmqpHeader,
}

/// How the negotiation continues.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More bytes are needed.
    Waits,
    /// AMQP frames follow.
    Done,
    /// It failed: the output is sent, then the connection ends.
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct Negotiation {
    step: Step,
}

impl Negotiation {
    pub(crate) fn new() -> Self {
        Self { step: Step::Header }
    }

    /// Reads as much of the input as it can. It leaves everything after the negotiation in the
    /// buffer, because peers may send AMQP frames early.
    pub(crate) fn advance(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        authenticator: &mut dyn Authenticator,
    ) -> Progress {
        loop {
            let next = match self.step {
                Step::Header | Step::AmqpHeader => self.header(input, out, authenticator),
                Step::Init | Step::Response => self.sasl(input, out, authenticator),
            };
            match next {
                Ok(None) => return Progress::Waits,
                Ok(Some(Next::Amqp)) => return Progress::Done,
                Ok(Some(Next::Step(step))) => self.step = step,
                Err(reason) => return Progress::Failed(reason),
            }
        }
    }

    fn header(
        &self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        authenticator: &mut dyn Authenticator,
    ) -> Result<Option<Next>, String> {
        // Bytes that cannot become a header are refused without waiting for more.
        let known = input.len().min(4);
        if input[..known] != b"AMQP"[..known] {
            sasl::put_protocol_header(out, self.supported(authenticator));
            return Err("the peer does not speak AMQP".into());
        }
        let Some(header) = sasl::take_protocol_header(input) else {
            return Ok(None);
        };
        let is_amqp_allowed = self.step == Step::AmqpHeader || !authenticator.needs_sasl();
        match header {
            Ok(header) if header.is_sasl() && self.step == Step::Header => {
                sasl::put_protocol_header(out, ProtocolHeader::sasl());
                put(out, SaslFrame::Mechanisms(mechanisms(authenticator)))?;
                Ok(Some(Next::Step(Step::Init)))
            }
            Ok(header) if header.is_amqp() && is_amqp_allowed => {
                sasl::put_protocol_header(out, ProtocolHeader::amqp());
                Ok(Some(Next::Amqp))
            }
            other => {
                // The answer to an unsupported header is the supported one.
                sasl::put_protocol_header(out, self.supported(authenticator));
                Err(format!(
                    "the protocol header {other:?} is not supported here"
                ))
            }
        }
    }

    fn supported(&self, authenticator: &dyn Authenticator) -> ProtocolHeader {
        if self.step == Step::Header && authenticator.needs_sasl() {
            ProtocolHeader::sasl()
        } else {
            ProtocolHeader::amqp()
        }
    }

    fn sasl(
        &self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        authenticator: &mut dyn Authenticator,
    ) -> Result<Option<Next>, String> {
        let bytes = match frame::split(input, sasl::MAX_FRAME_SIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(e) => return Err(format!("{e:?}")),
        };
        let is_let_in = match (
            self.step,
            sasl::decode(&bytes).map_err(|e| format!("{e:?}"))?,
        ) {
            (Step::Init, SaslFrame::Init(init)) => {
                if init.mechanism.as_str() == PLAIN && init.initial_response.is_none() {
                    let challenge = ByteBuf::new();
                    put(out, SaslFrame::Challenge(SaslChallenge { challenge }))?;
                    return Ok(Some(Next::Step(Step::Response)));
                }
                let response = init.initial_response.as_ref().map(|r| r.as_slice());
                authenticator.authenticates(init.mechanism.as_str(), response)
            }
            (Step::Response, SaslFrame::Response(response)) => {
                authenticator.authenticates(PLAIN, Some(&response.response))
            }
            (_, other) => return Err(format!("unexpected SASL frame {}", name(&other))),
        };
        let code = if is_let_in {
            SaslCode::Ok
        } else {
            SaslCode::Auth
        };
        let outcome = SaslOutcome {
            code,
            additional_data: None,
        };
        put(out, SaslFrame::Outcome(outcome))?;
        if is_let_in {
            Ok(Some(Next::Step(Step::AmqpHeader)))
        } else {
            Err("authentication failed".into())
        }
    }
}

enum Next {
    Step(Step),
    Amqp,
}

fn put(out: &mut BytesMut, frame: SaslFrame) -> Result<(), String> {
    sasl::encode(out, frame).map_err(|e: FrameError| format!("{e:?}"))
}

/// Only the frame's name, because an init or a response contains a password.
fn name(frame: &SaslFrame) -> &'static str {
    match frame {
        SaslFrame::Mechanisms(_) => "sasl-mechanisms",
        SaslFrame::Init(_) => "sasl-init",
        SaslFrame::Challenge(_) => "sasl-challenge",
        SaslFrame::Response(_) => "sasl-response",
        SaslFrame::Outcome(_) => "sasl-outcome",
    }
}

fn mechanisms(authenticator: &dyn Authenticator) -> SaslMechanisms {
    let offered: Vec<Symbol> = authenticator
        .mechanisms()
        .iter()
        .map(|m| Symbol::from(*m))
        .collect();
    SaslMechanisms {
        sasl_server_mechanisms: offered.into(),
    }
}

/// Name and password in PLAIN's message: authorization identity, name and password, separated by
/// NULs (RFC 4616).
fn credentials(response: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = response.splitn(3, |b| *b == 0);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(name), Some(password)) => Some((name, password)),
        _ => None,
    }
}

/// The user whose name and password are in PLAIN's message.
pub(crate) fn user<'u>(response: &[u8], users: &'u [(String, String)]) -> Option<&'u str> {
    let (name, password) = credentials(response)?;
    // Compares every user in full, so that the time taken reveals nothing.
    users.iter().fold(None, |found, (n, p)| {
        let is_this = same(n.as_bytes(), name) & same(p.as_bytes(), password);
        if is_this {
            Some(n.as_str())
        } else {
            found
        }
    })
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn plain_compares_name_and_password() {
        let users = [("guest".to_owned(), "secret".to_owned())];
        let check = |response: &[u8]| user(response, &users).is_some();
        assert!(check(b"\0guest\0secret"));
        assert!(check(b"other\0guest\0secret"));
        assert!(!check(b"\0guest\0secre"));
        assert!(!check(b"\0guest\0secret\0"));
        assert!(!check(b"\0guest"));
        assert!(!check(b""));
        assert!(Users(None).authenticates(PLAIN, Some(b"\0any\0body")));
    }

    #[test]
    fn with_users_no_mechanism_but_plain_lets_anybody_in() {
        let response = Some(&b"\0guest\0secret"[..]);
        let users = [("guest".to_owned(), "secret".to_owned())];
        let mut checked = Users(Some(&users));
        assert!(checked.authenticates(PLAIN, response));
        for mechanism in [ANONYMOUS, EXTERNAL, "SCRAM-SHA-256", ""] {
            assert!(!checked.authenticates(mechanism, response), "{mechanism}");
        }
        for mechanism in [ANONYMOUS, EXTERNAL, PLAIN] {
            assert!(Users(None).authenticates(mechanism, response));
        }
    }

    #[test]
    fn bare_amqp_is_answered_with_sasl_where_users_are_checked() {
        let (mut input, mut out) = (
            BytesMut::from(&b"AMQP\x00\x01\x00\x00"[..]),
            BytesMut::new(),
        );
        let progress = Negotiation::new().advance(&mut input, &mut out, &mut Users(Some(&[])));
        assert!(matches!(progress, Progress::Failed(_)));
        assert_eq!(&out[..], b"AMQP\x03\x01\x00\x00");
    }

    #[test]
    fn octets_behind_the_header_are_left() {
        let mut input = BytesMut::from(&b"AMQP\x00\x01\x00\x00open"[..]);
        let mut out = BytesMut::new();
        let progress = Negotiation::new().advance(&mut input, &mut out, &mut Users(None));
        assert_eq!(progress, Progress::Done);
        assert_eq!(&input[..], b"open");
    }
}
