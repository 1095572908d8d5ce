//! What comes before AMQP frames: protocol headers (AMQP 1.0 section 2.2) and SASL (section 5.3).

use bytes::BytesMut;
use fe2o3_amqp::frames::sasl::Frame as SaslFrame;
use fe2o3_amqp::transport::protocol_header::ProtocolHeader;
use fe2o3_amqp_types::sasl::{SaslChallenge, SaslCode, SaslInit, SaslMechanisms, SaslOutcome};
use serde_amqp::primitives::Symbol;
use serde_bytes::ByteBuf;

use crate::wire::frame::{self, FrameError};
use crate::wire::sasl;
use crate::Options;

const ANONYMOUS: &str = "ANONYMOUS";
const PLAIN: &str = "PLAIN";
const EXTERNAL: &str = "EXTERNAL";

/// How far a connection is before its AMQP frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The first protocol header: SASL or AMQP.
    Header,
    /// sasl-init.
    Init,
    /// PLAIN without an initial response was asked for one.
    Response,
    /// AMQP's protocol header behind SASL.
    AmqpHeader,
}

/// How negotiating goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More octets are needed.
    Waits,
    /// AMQP frames follow.
    Done,
    /// It has failed: what was written is sent, then the connection ends.
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Negotiation {
    step: Step,
}

impl Negotiation {
    pub(super) fn new() -> Self {
        Self { step: Step::Header }
    }

    /// Takes what it can from the read buffer; everything behind it is left there, as peers may
    /// send ahead.
    pub(super) fn advance(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        options: &Options,
    ) -> Progress {
        loop {
            let next = match self.step {
                Step::Header | Step::AmqpHeader => self.header(input, out, options),
                Step::Init | Step::Response => self.sasl(input, out, options),
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
        options: &Options,
    ) -> Result<Option<Next>, String> {
        // What cannot become a header needs no more octets to be refused.
        let known = input.len().min(4);
        if input[..known] != b"AMQP"[..known] {
            sasl::put_protocol_header(out, self.supported(options));
            return Err("the peer does not speak AMQP".into());
        }
        let Some(header) = sasl::take_protocol_header(input) else {
            return Ok(None);
        };
        let is_amqp_allowed = self.step == Step::AmqpHeader || options.users.is_none();
        match header {
            Ok(header) if header.is_sasl() && self.step == Step::Header => {
                sasl::put_protocol_header(out, ProtocolHeader::sasl());
                put(out, SaslFrame::Mechanisms(mechanisms(options)))?;
                Ok(Some(Next::Step(Step::Init)))
            }
            Ok(header) if header.is_amqp() && is_amqp_allowed => {
                sasl::put_protocol_header(out, ProtocolHeader::amqp());
                Ok(Some(Next::Amqp))
            }
            other => {
                // The answer to a header that is not taken is the one that would be.
                sasl::put_protocol_header(out, self.supported(options));
                Err(format!(
                    "the protocol header {other:?} is not supported here"
                ))
            }
        }
    }

    fn supported(&self, options: &Options) -> ProtocolHeader {
        if self.step == Step::Header && options.users.is_some() {
            ProtocolHeader::sasl()
        } else {
            ProtocolHeader::amqp()
        }
    }

    fn sasl(
        &self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        options: &Options,
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
                is_let_in(&init, options)
            }
            (Step::Response, SaslFrame::Response(response)) => {
                is_user(&response.response, options.users.as_deref())
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

/// Names only: an init or a response holds a password.
fn name(frame: &SaslFrame) -> &'static str {
    match frame {
        SaslFrame::Mechanisms(_) => "sasl-mechanisms",
        SaslFrame::Init(_) => "sasl-init",
        SaslFrame::Challenge(_) => "sasl-challenge",
        SaslFrame::Response(_) => "sasl-response",
        SaslFrame::Outcome(_) => "sasl-outcome",
    }
}

/// With users there is PLAIN only: the other mechanisms check nothing here.
fn mechanisms(options: &Options) -> SaslMechanisms {
    let offered: &[&str] = match options.users {
        Some(_) => &[PLAIN],
        None => &[ANONYMOUS, PLAIN, EXTERNAL],
    };
    let offered: Vec<Symbol> = offered.iter().map(|m| Symbol::from(*m)).collect();
    SaslMechanisms {
        sasl_server_mechanisms: offered.into(),
    }
}

fn is_let_in(init: &SaslInit, options: &Options) -> bool {
    match (init.mechanism.as_str(), options.users.as_deref()) {
        (PLAIN, users) => init
            .initial_response
            .as_ref()
            .is_some_and(|response| is_user(response, users)),
        (ANONYMOUS | EXTERNAL, None) => true,
        _ => false,
    }
}

/// Checks PLAIN's message: authorization identity, name and password between NULs (RFC 4616).
fn is_user(response: &[u8], users: Option<&[(String, String)]>) -> bool {
    let mut parts = response.splitn(3, |b| *b == 0);
    let (Some(_), Some(name), Some(password)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some(users) = users else { return true };
    // Every user is compared in full, so that the time taken tells nothing.
    users.iter().fold(false, |found, (n, p)| {
        let is_this = same(n.as_bytes(), name) & same(p.as_bytes(), password);
        found | is_this
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
        let check = |response: &[u8]| is_user(response, Some(&users));
        assert!(check(b"\0guest\0secret"));
        assert!(check(b"other\0guest\0secret"));
        assert!(!check(b"\0guest\0secre"));
        assert!(!check(b"\0guest\0secret\0"));
        assert!(!check(b"\0guest"));
        assert!(!check(b""));
        assert!(is_user(b"\0any\0body", None));
    }

    #[test]
    fn with_users_no_mechanism_but_plain_lets_anybody_in() {
        let init = |mechanism: &str| SaslInit {
            mechanism: mechanism.into(),
            initial_response: Some(ByteBuf::from(b"\0guest\0secret".to_vec())),
            hostname: None,
        };
        let users = Some(vec![("guest".to_owned(), "secret".to_owned())]);
        let checked = Options {
            users,
            ..Options::default()
        };
        assert!(is_let_in(&init(PLAIN), &checked));
        for mechanism in [ANONYMOUS, EXTERNAL, "SCRAM-SHA-256", ""] {
            assert!(!is_let_in(&init(mechanism), &checked), "{mechanism}");
        }
        for mechanism in [ANONYMOUS, EXTERNAL, PLAIN] {
            assert!(is_let_in(&init(mechanism), &Options::default()));
        }
    }

    #[test]
    fn bare_amqp_is_answered_with_sasl_where_users_are_checked() {
        let options = Options {
            users: Some(Vec::new()),
            ..Options::default()
        };
        let (mut input, mut out) = (
            BytesMut::from(&b"AMQP\x00\x01\x00\x00"[..]),
            BytesMut::new(),
        );
        let progress = Negotiation::new().advance(&mut input, &mut out, &options);
        assert!(matches!(progress, Progress::Failed(_)));
        assert_eq!(&out[..], b"AMQP\x03\x01\x00\x00");
    }

    #[test]
    fn octets_behind_the_header_are_left() {
        let mut input = BytesMut::from(&b"AMQP\x00\x01\x00\x00open"[..]);
        let mut out = BytesMut::new();
        let progress = Negotiation::new().advance(&mut input, &mut out, &Options::default());
        assert_eq!(progress, Progress::Done);
        assert_eq!(&input[..], b"open");
    }
}
