//! The DSN: which broker, which user, which kind of connection.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::settings::access::Access;
use crate::settings::connection_string;
use crate::settings::input::Input;
use crate::settings::options::{DialectOption, HostOrder, QueueOptions, TlsOptions};
use crate::settings::suggest;
use crate::settings::token::TokenOption;

/// The broker to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The broker inside this process, by name.
    Embedded(String),
    /// The hosts of one broker; the client connects to one of them.
    Network {
        /// Host and port of each.
        hosts: Vec<(String, u16)>,
        /// Whether TLS comes first (`amqps`).
        tls: bool,
    },
}

/// All settings by which pooled connections differ.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The broker to connect to.
    pub target: Target,
    /// User and password for SASL PLAIN.
    pub credentials: Option<(String, String)>,
    /// RabbitMQ's virtual host; `None`: the default one.
    pub vhost: Option<String>,
    /// TLS files.
    pub tls: TlsOptions,
    /// Prefix of the container-id.
    pub container_id: Option<String>,
    /// The order in which the hosts are tried.
    pub host_order: HostOrder,
    /// The idle timeout that the client announces.
    pub heartbeat: Duration,
    /// The broker's kind, if it must be known before connecting because its `open` does not state
    /// it.
    pub dialect: DialectOption,
    /// How the client authenticates.
    pub access: Access,
    /// The only queue that the DSN allows, if it names one.
    pub entity: Option<String>,
    label: String,
}

impl fmt::Debug for Endpoint {
    /// Prints only the label, which contains no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.label)
    }
}

/// Hosts of namespaces: Azure, Azure China, Azure Government, Azure Germany.
const HOST_SUFFIXES: [&str; 4] = [
    ".servicebus.windows.net",
    ".servicebus.chinacloudapi.cn",
    ".servicebus.usgovcloudapi.net",
    ".servicebus.cloudapi.de",
];

const SCHEMES: [&str; 6] = ["amqp", "amqps", "amqp1", "amqp1s", "embedded", "sb"];

/// A DSN's scheme in lower case, with aliases replaced, so that all spellings mean one endpoint.
pub(crate) fn canonical(scheme: &str) -> String {
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "amqp1" => "amqp".to_owned(),
        "amqp1s" => "amqps".to_owned(),
        _ => scheme,
    }
}

/// Splits a DSN into the part before its query, and the query as options.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if the query is not `name=value&…`.
pub fn split_query(dsn: &str) -> Result<(&str, Input)> {
    if connection_string::is_one(dsn) {
        return Ok((dsn, Input::Map(Vec::new())));
    }
    let Some((address, query)) = dsn.split_once('?') else {
        return Ok((dsn, Input::Map(Vec::new())));
    };
    no_at_sign(query)?;
    let mut entries: Vec<(String, Input)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-%".contains(&byte);
        if !name.bytes().all(is_name) {
            // The message does not repeat the text: it may be the rest of a password with a raw
            // `?`.
            return Err(Error::config(
                "DSN: expected name=value after '?'; percent-encode user, password and vhost (rawurlencode)",
            ));
        }
        let (name, value) = (decode("DSN", name)?, decode("DSN", value)?);
        match name.split_once('.') {
            Some((outer, inner)) => {
                let inner = (inner.to_owned(), Input::Text(value));
                match entries.iter_mut().find(|(name, _)| name == outer) {
                    Some((_, Input::Map(map))) => map.push(inner),
                    _ => entries.push((outer.to_owned(), Input::Map(vec![inner]))),
                }
            }
            None => entries.push((name, Input::Text(value))),
        }
    }
    Ok((address, Input::Map(entries)))
}

/// An `@` after the hosts means that the password contains a raw `/` or `?`. The apparent hosts,
/// vhost and query are then part of that secret.
fn no_at_sign(rest: &str) -> Result<()> {
    if rest.contains('@') {
        return Err(Error::config(
            "DSN: unexpected '@' after the host; percent-encode user, password and vhost (rawurlencode)",
        ));
    }
    Ok(())
}

fn decode(what: &str, text: &str) -> Result<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| Error::config(format!("{what}: percent-encoded text that is not UTF-8")))
}

impl Endpoint {
    /// Parses `amqp[s]://[user[:password]@]host[:port][,host[:port]…][/vhost]`,
    /// `sb://[rule:key@]host[/queue]`, a Service Bus connection string, or `embedded://[name]`. The
    /// scheme may also be written as `amqp1[s]`.
    ///
    /// Messages never repeat the DSN, because it contains the password.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] that says which part is invalid.
    pub fn parse(address: &str, options: &QueueOptions) -> Result<Self> {
        if connection_string::is_one(address) {
            return Self::connection_string(address, options);
        }
        let Some((scheme, rest)) = address.trim().split_once("://") else {
            return Err(Error::config(
                "DSN: expected amqp://user:password@host:5672/vhost, amqps://…, a Service Bus connection string or embedded://",
            ));
        };
        let scheme = canonical(scheme);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        no_at_sign(path)?;
        match scheme.as_str() {
            "embedded" => Self::embedded(authority, path, options),
            "amqp" | "amqps" | "sb" => Self::network(&scheme, authority, path, options),
            // The message does not repeat the text, which may contain the password.
            other if !other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Err(Error::config(
                "DSN: expected a scheme such as amqp:// at the beginning",
            )),
            other => Err(Error::config(match suggest::nearest(other, &SCHEMES) {
                Some(near) => {
                    format!("DSN: unknown scheme '{other}://', did you mean '{near}://'?")
                }
                None => format!(
                    "DSN: unknown scheme '{other}://'; expected amqp://, amqps://, sb:// or embedded://"
                ),
            })),
        }
    }

    fn embedded(authority: &str, path: &str, options: &QueueOptions) -> Result<Self> {
        if !path.is_empty() || authority.contains(['@', ':']) {
            return Err(Error::config(
                "DSN: embedded:// accepts only a name, such as embedded://tests",
            ));
        }
        let name = match decode("DSN: name", authority)? {
            name if name.is_empty() => "default".to_owned(),
            name => name,
        };
        let label = format!("embedded://{name}");
        let target = Target::Embedded(name);
        let endpoint = Self::with(target, None, None, label, options).by_dialect(options)?;
        // Reported now instead of at the first job.
        endpoint.dialect.embedded()?;
        Ok(endpoint)
    }

    /// Parses `Endpoint=sb://…;…`.
    fn connection_string(text: &str, options: &QueueOptions) -> Result<Self> {
        let parsed = connection_string::parse(text)?;
        let scheme = if parsed.emulator { "amqp" } else { "sb" };
        let mut endpoint = Self::hosts(scheme, &parsed.authority, "", options)?;
        endpoint.entity = parsed.entity;
        endpoint.dialect = DialectOption::ServiceBus;
        endpoint.access = parsed.access;
        endpoint.by_token(options)
    }

    fn network(scheme: &str, authority: &str, path: &str, options: &QueueOptions) -> Result<Self> {
        Self::hosts(scheme, authority, path, options)?.by_dialect(options)
    }

    fn hosts(scheme: &str, authority: &str, path: &str, options: &QueueOptions) -> Result<Self> {
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let credentials = userinfo
            .map(|userinfo| {
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                Ok((
                    decode("DSN: user", user)?,
                    decode("DSN: password", password)?,
                ))
            })
            .transpose()?
            .filter(|(user, _)| !user.is_empty());
        let vhost = Some(decode("DSN: vhost", path)?).filter(|vhost| !vhost.is_empty());
        let tls = scheme != "amqp";
        if !tls && options.tls != TlsOptions::default() {
            return Err(Error::config(
                "DSN: option 'tls' has no effect with amqp://, which does not encrypt; use amqps://",
            ));
        }
        let hosts = hosts
            .split(',')
            .map(|host| host_and_port(scheme, host))
            .collect::<Result<Vec<_>>>()?;
        let label = label(&hosts, tls, credentials.as_ref(), vhost.as_deref());
        let is_namespace = |host: &str| HOST_SUFFIXES.iter().any(|suffix| host.ends_with(suffix));
        let known = scheme == "sb" || hosts.iter().any(|(host, _)| is_namespace(host));
        let target = Target::Network { hosts, tls };
        let mut endpoint = Self::with(target, credentials, vhost, label, options);
        if known {
            endpoint.dialect = DialectOption::ServiceBus;
        }
        Ok(endpoint)
    }

    /// Service Bus through the option `dialect`: then the path is a queue, not a virtual host.
    fn by_dialect(mut self, options: &QueueOptions) -> Result<Self> {
        if options.dialect != DialectOption::Auto {
            self.dialect = options.dialect;
        }
        if self.dialect == DialectOption::ServiceBus {
            self.entity = self.vhost.take();
        }
        self.by_token(options)
    }

    /// The option `token` instead of a key.
    fn by_token(mut self, options: &QueueOptions) -> Result<Self> {
        let Some(token) = &options.token else {
            return Ok(self);
        };
        if self.dialect != DialectOption::ServiceBus {
            return Err(Error::config(
                "option 'token': only Service Bus accepts tokens; if this is Service Bus, set 'dialect' to 'servicebus'",
            ));
        }
        let has_key = self.access != Access::Sasl || self.credentials.is_some();
        if has_key {
            return Err(Error::config(
                "option 'token': the DSN already contains a key; remove one of them",
            ));
        }
        self.access = match token {
            TokenOption::Fixed(token) => Access::Token(token.text.clone()),
            TokenOption::Source(source) => Access::Callback(source.number()),
        };
        Ok(self)
    }

    fn with(
        target: Target,
        credentials: Option<(String, String)>,
        vhost: Option<String>,
        label: String,
        options: &QueueOptions,
    ) -> Self {
        Self {
            target,
            credentials,
            vhost,
            tls: options.tls.clone(),
            container_id: options.container_id.clone(),
            host_order: options.host_order,
            heartbeat: options.heartbeat,
            dialect: DialectOption::Auto,
            access: Access::default(),
            entity: None,
            label,
        }
    }

    /// The host in the audience of tokens.
    pub(crate) fn host(&self) -> &str {
        match &self.target {
            Target::Network { hosts, .. } => hosts.first().map_or("localhost", |(host, _)| host),
            Target::Embedded(_) => "localhost",
        }
    }

    /// Whether the client should switch to another host as soon as one fails, not only when it
    /// cannot be reached.
    pub(crate) fn has_choice(&self) -> bool {
        let several = matches!(&self.target, Target::Network { hosts, .. } if hosts.len() > 1);
        several && self.host_order == HostOrder::Random
    }

    /// Adds the hosts of another endpoint after this one's.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] if the two differ in more than the hosts.
    pub fn or(mut self, other: Self) -> Result<Self> {
        let differs = self.credentials != other.credentials || self.vhost != other.vhost;
        match (&mut self.target, other.target) {
            (
                Target::Network { hosts, tls },
                Target::Network {
                    hosts: more,
                    tls: other_tls,
                },
            ) if !differs && *tls == other_tls => {
                hosts.extend(more);
                let (credentials, vhost) = (self.credentials.as_ref(), self.vhost.as_deref());
                self.label = label(hosts, *tls, credentials, vhost);
                Ok(self)
            }
            _ => Err(Error::config(
                "DSN: the addresses in a list must belong to one broker, with the same scheme, user, password and vhost",
            )),
        }
    }

    /// The DSN without its password, for people.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

fn label(
    hosts: &[(String, u16)],
    tls: bool,
    credentials: Option<&(String, String)>,
    vhost: Option<&str>,
) -> String {
    let scheme = if tls { "amqps" } else { "amqp" };
    let names: Vec<String> = hosts.iter().map(|(host, port)| join(host, *port)).collect();
    let user = credentials.map(|(user, _)| format!("{user}@"));
    format!(
        "{scheme}://{}{}{}",
        user.unwrap_or_default(),
        names.join(","),
        vhost.map(|vhost| format!("/{vhost}")).unwrap_or_default()
    )
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn join(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn host_and_port(scheme: &str, text: &str) -> Result<(String, u16)> {
    // The text after the name may be a password, if the host was forgotten: user:password.
    let name = match text.split_once(':') {
        Some((name, _)) if !text.starts_with('[') => name,
        _ => text,
    };
    let wrong = |why: &str| Error::config(format!("DSN: host '{name}': {why}"));
    if text.is_empty() {
        return Err(Error::config("DSN: a host is missing"));
    }
    // An `http` URL, because the url crate checks hosts only for special schemes.
    let url = url::Url::parse(&format!("http://{text}")).map_err(|e| wrong(&e.to_string()))?;
    if url.path() != "/" || !url.username().is_empty() {
        return Err(wrong("expected host or host:port"));
    }
    let host = match url.host() {
        Some(url::Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => return Err(wrong("it has no name")),
    };
    let named = text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .filter(|_| !text.ends_with(']'));
    let port = url.port().or(named);
    if port == Some(0) {
        return Err(wrong("port 0 is not valid"));
    }
    Ok((
        host,
        port.unwrap_or(if scheme == "amqp" { 5672 } else { 5671 }),
    ))
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
