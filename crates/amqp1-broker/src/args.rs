//! The program's command line.

mod servicebus;

pub(crate) use servicebus::Faults;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use amqp1_broker::servicebus::settings::IDLE_TIMEOUT;
use amqp1_broker::{Options, Tls};
use lexopt::prelude::{Long, Short, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
amqp1-broker: a small AMQP 1.0 broker, for development and tests. Messages are kept in memory.

Usage: amqp1-broker --listen ADDRESS:PORT [OPTIONS]

  --listen ADDRESS:PORT     where to accept connections; port 0 takes a free one
  --user NAME:PASSWORD      who may connect, by SASL PLAIN; may be repeated (default: anybody)
  --max-message-size N      octets of the largest message
                            (default 134217728; in the Service Bus dialect 262144)
  --idle-timeout MS         idle-time-out told to peers, milliseconds; 0 is none
                            (default 60000; in the Service Bus dialect 240000)
  --tls-cert PATH           PEM file of the server's certificate and its chain: speak TLS only
  --tls-key PATH            PEM file of its private key
  --ready-file PATH         a file to write the address to once connections are accepted
  --dialect NAME            rabbitmq (default) or servicebus
  --help                    print this
  --version                 print the version

With --dialect servicebus (docs/servicebus-emulator.md):

  --config PATH             queues and topics, as Microsoft's emulator has them in its Config.json
  --queue NAME              a queue; may be repeated
  --session-queue NAME      a queue that is received from by session; may be repeated
  --create-on-use           make queues and subscriptions at their first use
  --access-rule NAME:KEY    a rule whose key signs tokens; may be repeated
                            (default RootManageSharedAccessKey:SAS_KEY_VALUE)
  --no-tokens               let links in that have put no token
  --lock-duration SECONDS   of queues that --config does not name (default 60)
  --max-delivery-count N    of queues that --config does not name (default 10)
  --fault 'KIND …'          something that goes wrong (docs/faults.md); may be repeated
  --faults PATH             a file of these, one a line; read again at SIGHUP
  --timer NAME=SECONDS      no-token (20), no-link (60), links-gone (300), link-idle (600); 0 is never

When it accepts connections it prints 'amqp1-broker VERSION listening on ADDRESS' on one line.
SIGTERM and SIGINT end it.
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Version,
    Listen(Box<Listen>),
}

/// How to run.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) options: Options,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) faults: Faults,
    pub(crate) tls: Option<Tls>,
}

/// Reads the arguments (without the program's name). The error is a sentence.
pub(crate) fn parse<I>(args: I) -> Result<Command, String>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options::default();
    let mut address = None;
    let mut ready_file = None;
    let (mut certificate, mut key) = (None::<PathBuf>, None::<PathBuf>);
    let mut service_bus = servicebus::Said::default();
    let mut is_service_bus = false;
    let mut max_message_size = None;
    let mut idle_timeout = None;
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        if let Some(name) = servicebus::option(&arg) {
            service_bus.read(name, &mut parser)?;
            continue;
        }
        match arg {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") | Short('V') => return Ok(Command::Version),
            Long("listen") => {
                let value = value(&mut parser)?;
                address = Some(value.parse().map_err(|_| {
                    format!("--listen: '{value}' is no ADDRESS:PORT, such as 127.0.0.1:5672")
                })?);
            }
            Long("user") => {
                let value = value(&mut parser)?;
                // The value may hold a password: it is not repeated in the message.
                let (name, password) = value
                    .split_once(':')
                    .filter(|(name, _)| !name.is_empty())
                    .ok_or("--user: the value is not NAME:PASSWORD")?;
                options
                    .rabbitmq
                    .users
                    .get_or_insert_default()
                    .push((name.to_owned(), password.to_owned()));
            }
            Long("max-message-size") => {
                let size = number(&mut parser, "--max-message-size")?;
                if size == 0 {
                    return Err("--max-message-size: must be more than 0".into());
                }
                max_message_size = Some(size);
                options.rabbitmq.max_message_size = size;
            }
            Long("idle-timeout") => {
                let ms: u32 = number(&mut parser, "--idle-timeout")?;
                idle_timeout = Some(Duration::from_millis(ms.into()));
            }
            Long("tls-cert") => {
                certificate = Some(parser.value().map_err(|e| e.to_string())?.into());
            }
            Long("tls-key") => {
                key = Some(parser.value().map_err(|e| e.to_string())?.into());
            }
            Long("dialect") => {
                is_service_bus = match value(&mut parser)?.as_str() {
                    "rabbitmq" => false,
                    "servicebus" => true,
                    other => {
                        return Err(format!(
                            "--dialect: '{other}' is neither rabbitmq nor servicebus"
                        ))
                    }
                };
            }
            Long("ready-file") => {
                ready_file = Some(parser.value().map_err(|e| e.to_string())?.into());
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    let address = address.ok_or("--listen ADDRESS:PORT is missing")?;
    let tls: Option<Tls> = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(tls(&certificate, &key)?),
        _ => return Err("--tls-cert and --tls-key go together".into()),
    };
    let faults = service_bus.faults();
    options.idle_timeout = match idle_timeout {
        Some(timeout) => timeout,
        None if is_service_bus => IDLE_TIMEOUT,
        None => options.idle_timeout,
    };
    options.service_bus = service_bus.settings(is_service_bus, max_message_size)?;
    Ok(Command::Listen(Box::new(Listen {
        address,
        options,
        ready_file,
        faults,
        tls,
    })))
}

fn tls(certificate: &Path, key: &Path) -> Result<Tls, String> {
    Tls::from_pem_files(certificate, key).map_err(|e| format!("--tls-cert, --tls-key: {e}"))
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.string().map_err(|e| e.to_string())
}

fn number<T: std::str::FromStr>(parser: &mut lexopt::Parser, name: &str) -> Result<T, String> {
    let value = value(parser)?;
    value
        .parse()
        .map_err(|_| format!("{name}: '{value}' is no number it can be"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn all_options_are_read() {
        let Ok(Command::Listen(listen)) = parse([
            "--listen=127.0.0.1:0",
            "--user",
            "guest:se:cret",
            "--user",
            "b:",
            "--max-message-size",
            "1000",
            "--idle-timeout",
            "250",
            "--ready-file",
            "/tmp/r",
        ]) else {
            panic!("not understood");
        };
        let users = [("guest", "se:cret"), ("b", "")].map(|(n, p)| (n.to_owned(), p.to_owned()));
        assert_eq!(listen.options.rabbitmq.users.unwrap(), users);
        assert_eq!(listen.options.rabbitmq.max_message_size, 1000);
        assert_eq!(listen.options.idle_timeout, Duration::from_millis(250));
        assert_eq!(listen.ready_file.unwrap(), PathBuf::from("/tmp/r"));
    }

    #[test]
    fn the_dialects_options_are_read() {
        let Ok(Command::Listen(listen)) = parse([
            "--listen=127.0.0.1:0",
            "--dialect=servicebus",
            "--queue=a",
            "--lock-duration=0.5",
            "--session-queue=b",
            "--access-rule=me:k:1",
            "--max-message-size=1000",
            "--timer=link-idle=2",
            "--fault=busy times=3",
            "--faults=/tmp/f",
        ]) else {
            panic!("not understood");
        };
        let settings = listen.options.service_bus.unwrap();
        let [(a, plain), (b, by_session)] = &settings.queues[..] else {
            panic!("{settings:?}");
        };
        assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
        assert!(!plain.requires_session && by_session.requires_session);
        assert_eq!(plain.lock_duration, Duration::from_millis(500));
        assert_eq!(settings.access_rules, [("me".into(), "k:1".into())]);
        assert_eq!(settings.timers.link_idle, Duration::from_secs(2));
        assert_eq!(settings.max_message_size, 1000);
        assert!(settings.require_token && !settings.create_on_use);
        assert_eq!(listen.faults.said, "busy times=3\n");
        assert_eq!(listen.faults.file.unwrap(), PathBuf::from("/tmp/f"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let error = |args: &[&str]| parse(args.iter().copied()).unwrap_err();
        assert!(error(&[]).contains("--listen"));
        assert!(error(&["--listen", "nowhere"]).contains("nowhere"));
        assert!(error(&["--listen", "127.0.0.1:0", "--idle-timeout", "-1"]).contains("-1"));
        assert!(error(&["--what"]).contains("--what"));
        let listen = "--listen=127.0.0.1:0";
        assert!(error(&[listen, "--queue=q"]).contains("--dialect servicebus"));
        assert!(error(&[listen, "--dialect=kafka"]).contains("kafka"));
        assert!(error(&[listen, "--timer=idle=3"]).contains("'idle'"));
        let dialect = "--dialect=servicebus";
        assert!(error(&[listen, dialect, "--lock-duration=0"]).contains("more than 0"));
        assert!(error(&[listen, dialect, "--max-delivery-count=0"]).contains("more than 0"));
        assert!(error(&[listen, "--config=/nowhere"]).contains("/nowhere"));
        assert!(error(&[listen, "--tls-key=/k"]).contains("--tls-cert"));
        assert!(!error(&[listen, "--access-rule=:s3cret"]).contains("s3cret"));
        assert!(!error(&["--user", ":s3cret"]).contains("s3cret"));
    }
}
