//! The program's command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(feature = "servicebus")]
use amqp1_broker::servicebus::{arguments, settings::IDLE_TIMEOUT};
use amqp1_broker::{Options, Tls};
use lexopt::prelude::{Long, Short, ValueExt};
use lexopt::Parser;

/// The text that `--help` prints.
pub(crate) fn help() -> String {
    #[cfg(feature = "servicebus")]
    let of_dialect = arguments::HELP;
    #[cfg(not(feature = "servicebus"))]
    let of_dialect = "It was built without servicebus.\n";
    format!("{HELP}{of_dialect}{HELP_END}")
}

const HELP: &str = "\
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

";

const HELP_END: &str = "
When it accepts connections it prints 'amqp1-broker VERSION listening on ADDRESS' on one line.
SIGTERM and SIGINT end it.
";

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Version,
    Listen(Box<Listen>),
}

#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) options: Options,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) faults: Faults,
    pub(crate) tls: Option<Tls>,
}

/// Faults to inject at the start.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// One per line.
    pub(crate) said: String,
    /// A file of faults, one per line; read again on SIGHUP.
    pub(crate) file: Option<PathBuf>,
}

/// The arguments read so far.
#[derive(Debug, Default)]
struct Said {
    options: Options,
    address: Option<SocketAddr>,
    ready_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    max_message_size: Option<u64>,
    idle_timeout: Option<Duration>,
    is_service_bus: bool,
    faults: Faults,
    #[cfg(feature = "servicebus")]
    service_bus: arguments::Arguments,
}

/// Parses the arguments, without the program's name. The error is a sentence.
pub(crate) fn parse<I>(args: I) -> Result<Command, String>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = Parser::from_args(args);
    let mut said = Said::default();
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") | Short('V') => return Ok(Command::Version),
            Long(name) => {
                let name = name.to_owned();
                if !said.take(&name, &mut parser)? {
                    return Err(Long(&name).unexpected().to_string());
                }
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    said.listen()
        .map(|listen| Command::Listen(Box::new(listen)))
}

impl Said {
    /// Reads one argument, and its value from the parser. Returns false if the argument is unknown.
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, String> {
        match name {
            "listen" => self.address = Some(address(&value(parser)?)?),
            "user" => {
                let user = user(&value(parser)?)?;
                let users = &mut self.options.rabbitmq.users;
                users.get_or_insert_default().push(user);
            }
            "max-message-size" => {
                let size = number(parser, "--max-message-size")?;
                if size == 0 {
                    return Err("--max-message-size: must be more than 0".into());
                }
                self.max_message_size = Some(size);
            }
            "idle-timeout" => {
                let ms: u32 = number(parser, "--idle-timeout")?;
                self.idle_timeout = Some(Duration::from_millis(ms.into()));
            }
            "tls-cert" => self.certificate = Some(path(parser)?),
            "tls-key" => self.key = Some(path(parser)?),
            "ready-file" => self.ready_file = Some(path(parser)?),
            "dialect" => self.is_service_bus = is_service_bus(&value(parser)?)?,
            _ => return self.take_of_service_bus(name, parser),
        }
        Ok(true)
    }

    #[cfg(feature = "servicebus")]
    fn take_of_service_bus(&mut self, name: &str, parser: &mut Parser) -> Result<bool, String> {
        let Some(name) = arguments::known(name) else {
            return Ok(false);
        };
        self.service_bus.take(name, || value(parser))?;
        Ok(true)
    }

    #[cfg(not(feature = "servicebus"))]
    fn take_of_service_bus(&mut self, _name: &str, _parser: &mut Parser) -> Result<bool, String> {
        Ok(false)
    }

    fn listen(mut self) -> Result<Listen, String> {
        let address = self.address.ok_or("--listen ADDRESS:PORT is missing")?;
        let tls: Option<Tls> = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
            _ => return Err("--tls-cert and --tls-key go together".into()),
        };
        if let Some(size) = self.max_message_size {
            self.options.rabbitmq.max_message_size = size;
        }
        #[cfg(feature = "servicebus")]
        if self.is_service_bus {
            self.options.idle_timeout = IDLE_TIMEOUT;
            self.faults.said = std::mem::take(&mut self.service_bus.faults);
            self.faults.file = self.service_bus.faults_file.take();
            let settings = self.service_bus.settings(self.max_message_size)?;
            self.options.service_bus = Some(settings);
        } else if let Some(name) = self.service_bus.first() {
            return Err(format!("--{name} needs --dialect servicebus"));
        }
        if let Some(timeout) = self.idle_timeout {
            self.options.idle_timeout = timeout;
        }
        Ok(Listen {
            address,
            options: self.options,
            ready_file: self.ready_file,
            faults: self.faults,
            tls,
        })
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value
        .parse()
        .map_err(|_| format!("--listen: '{value}' is no ADDRESS:PORT, such as 127.0.0.1:5672"))
}

/// Parses a user as (name, password).
fn user(value: &str) -> Result<(String, String), String> {
    // The message does not repeat the value, because it may contain a password.
    let (name, password) = value
        .split_once(':')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("--user: the value is not NAME:PASSWORD")?;
    Ok((name.to_owned(), password.to_owned()))
}

fn is_service_bus(dialect: &str) -> Result<bool, String> {
    match dialect {
        "rabbitmq" => Ok(false),
        "servicebus" if cfg!(feature = "servicebus") => Ok(true),
        "servicebus" => Err("--dialect: this amqp1-broker was built without servicebus".into()),
        other => Err(format!(
            "--dialect: '{other}' is neither rabbitmq nor servicebus"
        )),
    }
}

fn tls(certificate: &Path, key: &Path) -> Result<Tls, String> {
    Tls::from_pem_files(certificate, key).map_err(|e| format!("--tls-cert, --tls-key: {e}"))
}

fn path(parser: &mut Parser) -> Result<PathBuf, String> {
    parser.value().map(PathBuf::from).map_err(|e| e.to_string())
}

fn value(parser: &mut Parser) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.string().map_err(|e| e.to_string())
}

fn number<T: std::str::FromStr>(parser: &mut Parser, name: &str) -> Result<T, String> {
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

    #[cfg(feature = "servicebus")]
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
        assert!(error(&[listen, "--dialect=kafka"]).contains("kafka"));
        assert!(error(&[listen, "--tls-key=/k"]).contains("--tls-cert"));
        assert!(!error(&["--user", ":s3cret"]).contains("s3cret"));
    }

    #[cfg(feature = "servicebus")]
    #[test]
    fn what_is_wrong_of_the_dialect_is_said_without_the_key() {
        let error = |args: &[&str]| {
            let args = [&["--listen=127.0.0.1:0"], args].concat();
            parse(args).unwrap_err()
        };
        assert!(error(&["--queue=q"]).contains("--dialect servicebus"));
        assert!(error(&["--timer=idle=3"]).contains("'idle'"));
        let dialect = "--dialect=servicebus";
        assert!(error(&[dialect, "--lock-duration=0"]).contains("more than 0"));
        assert!(error(&[dialect, "--max-delivery-count=0"]).contains("more than 0"));
        assert!(error(&["--config=/nowhere"]).contains("/nowhere"));
        assert!(!error(&["--access-rule=:s3cret"]).contains("s3cret"));
    }

    #[cfg(not(feature = "servicebus"))]
    #[test]
    fn a_dialect_that_is_not_built_in_is_refused() {
        let error = parse(["--listen=127.0.0.1:0", "--dialect=servicebus"]).unwrap_err();
        assert!(error.contains("built without servicebus"), "{error}");
    }
}
