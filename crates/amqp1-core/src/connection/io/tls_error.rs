//! Explains TLS errors in plain words, with advice.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::settings::options::TlsOptions;

/// Explains an error of a TLS stream; other errors stay as they are.
pub(crate) fn explain(error: &io::Error, options: &TlsOptions) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(tls) => format!("TLS: {}", of_tls(tls, options)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed during the TLS handshake; is this the broker's TLS port? (without TLS, use amqp://)"
                .to_owned()
        }
        None => error.to_string(),
    }
}

fn of_tls(error: &Error, options: &TlsOptions) -> String {
    match error {
        Error::InvalidCertificate(why) => of_certificate(why, options),
        Error::AlertReceived(alert) => of_alert(*alert, options),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "the server does not speak TLS on this port; use its TLS port (usually 5671), or amqp:// without TLS"
                .to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("the broker and this client have no TLS version or cipher in common; TLS 1.2 or 1.3 is required ({why:?})")
        }
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError, options: &TlsOptions) -> String {
    match error {
        CertificateError::UnknownIssuer => match &options.root_ca {
            Some(path) => format!(
                "unknown issuer: the broker's certificate is not signed by a CA in tls.root_ca ({})",
                path.display()
            ),
            None => "unknown issuer: the broker's certificate is not signed by a CA that this \
                     system trusts; set tls.root_ca to the CA that signed it"
                .to_owned(),
        },
        CertificateError::Expired => expired(""),
        CertificateError::ExpiredContext { time, not_after } => {
            expired(&format!(" {} ago", days(*not_after, *time)))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        CertificateError::NotValidForName => wrong_name("the host in the DSN", ""),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let named = presented.iter().map(|name| readable(name));
            let names = match named.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => ", and names no host at all (subjectAltName)".to_owned(),
                names => format!(", only for {names}"),
            };
            wrong_name(&format!("'{}'", expected.to_str()), &names)
        }
        CertificateError::Revoked => "the broker's certificate is revoked".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the broker's certificate is not meant for servers (extendedKeyUsage lacks serverAuth)".to_owned()
        }
        // rustls has no variant for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the broker's certificate is a CA certificate (such as a self-signed one of `openssl req -x509`); create one with basicConstraints=CA:FALSE, signed by a CA, and put that CA into tls.root_ca"
                .to_owned()
        }
        other => format!("the broker's certificate is invalid: {other}"),
    }
}

fn expired(since: &str) -> String {
    format!(
        "the broker's certificate has expired{since}; renew it (or is this machine's clock wrong?)"
    )
}

fn wrong_name(expected: &str, but: &str) -> String {
    format!(
        "the broker's certificate is not valid for {expected}{but}; use a host name from the certificate in the DSN"
    )
}

/// `DnsName("localhost")` and `IpAddress(127.0.0.1)`, in rustls's form, without the wrapper.
fn readable(name: &str) -> &str {
    let inside = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.map_or(name, |inside| inside.trim_matches('"'))
}

fn days(from: UnixTime, to: UnixTime) -> String {
    match to.as_secs().saturating_sub(from.as_secs()) / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn of_alert(alert: AlertDescription, options: &TlsOptions) -> String {
    use AlertDescription as Alert;
    let mine = options.cert.is_some();
    match alert {
        Alert::CertificateRequired | Alert::BadCertificate if !mine => {
            "the broker requires a client certificate: set tls.cert and tls.key".to_owned()
        }
        Alert::HandshakeFailure if !mine => {
            "the broker refused the handshake: it requires a client certificate (tls.cert and \
             tls.key), or has no cipher in common with this client"
                .to_owned()
        }
        Alert::UnknownCA if mine => {
            "the broker refused the client certificate (tls.cert): it does not know the CA that \
             signed it"
                .to_owned()
        }
        Alert::CertificateExpired if mine => {
            "the broker refused the client certificate (tls.cert): it has expired".to_owned()
        }
        Alert::BadCertificate
        | Alert::CertificateRequired
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::UnsupportedCertificate
        | Alert::AccessDenied
            if mine =>
        {
            format!("the broker refused the client certificate (tls.cert): {alert:?}")
        }
        Alert::ProtocolVersion => {
            "the broker speaks neither TLS 1.2 nor 1.3, which are the ones that we speak".to_owned()
        }
        Alert::UnrecognisedName => {
            "the broker does not know the host name of the DSN (SNI)".to_owned()
        }
        other => format!("the broker broke the handshake off: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;
    use rustls::{InvalidMessage, PeerIncompatible};

    use super::*;

    fn said(error: Error, options: &TlsOptions) -> String {
        explain(&io::Error::new(io::ErrorKind::InvalidData, error), options)
    }

    fn bad(error: CertificateError) -> Error {
        Error::InvalidCertificate(error)
    }

    #[test]
    fn what_is_wrong_with_the_brokers_certificate() {
        let none = TlsOptions::default();
        let private = TlsOptions {
            root_ca: Some("/etc/ca.pem".into()),
            ..TlsOptions::default()
        };
        let unknown = said(bad(CertificateError::UnknownIssuer), &none);
        assert!(unknown.contains("unknown issuer") && unknown.contains("set tls.root_ca"));
        let unknown = said(bad(CertificateError::UnknownIssuer), &private);
        assert!(unknown.contains("tls.root_ca (/etc/ca.pem)"), "{unknown}");
        let at = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
        let expired = said(
            bad(CertificateError::ExpiredContext {
                time: at(30),
                not_after: at(10),
            }),
            &none,
        );
        assert!(expired.contains("has expired 20 days ago"), "{expired}");
    }

    #[test]
    fn the_names_that_a_certificate_has_are_told() {
        let wrong = |presented: &[&str]| {
            let expected = match ServerName::try_from("broker.example") {
                Ok(name) => name,
                Err(_) => unreachable!("a host name"),
            };
            said(
                bad(CertificateError::NotValidForNameContext {
                    expected,
                    presented: presented.iter().map(|name| (*name).to_owned()).collect(),
                }),
                &TlsOptions::default(),
            )
        };
        let named = wrong(&["DnsName(\"localhost\")", "IpAddress(127.0.0.1)"]);
        assert!(
            named.contains("not valid for 'broker.example', only for localhost, 127.0.0.1;"),
            "{named}"
        );
        assert!(wrong(&[]).contains("names no host at all"));
    }

    #[test]
    fn a_missing_client_certificate_and_a_refused_one_differ() {
        let none = TlsOptions::default();
        let mine = TlsOptions {
            cert: Some("c.pem".into()),
            key: Some("k.pem".into()),
            ..TlsOptions::default()
        };
        let alert = |alert, options| said(Error::AlertReceived(alert), options);
        let required = alert(AlertDescription::CertificateRequired, &none);
        assert!(required.contains("requires a client certificate: set tls.cert"));
        let tls12 = alert(AlertDescription::HandshakeFailure, &none);
        assert!(tls12.contains("requires a client certificate"), "{tls12}");
        let refused = alert(AlertDescription::UnknownCA, &mine);
        assert!(refused.contains("refused the client certificate"));
        let refused = alert(AlertDescription::CertificateUnknown, &mine);
        assert!(refused.contains("refused the client certificate"));
        assert!(!alert(AlertDescription::HandshakeFailure, &mine).contains("requires"));
    }

    #[test]
    fn a_server_without_our_tls_is_told_from_one_without_tls() {
        let none = TlsOptions::default();
        let plain = said(
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            &none,
        );
        assert!(plain.contains("does not speak TLS on this port"), "{plain}");
        let old = said(
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            &none,
        );
        assert!(old.contains("1.2 or 1.3"), "{old}");
        assert!(said(
            Error::AlertReceived(AlertDescription::ProtocolVersion),
            &none
        )
        .contains("1.2"));
        let gone = explain(&io::ErrorKind::UnexpectedEof.into(), &none);
        assert!(gone.contains("TLS port"), "{gone}");
        let other = explain(&io::ErrorKind::ConnectionReset.into(), &none);
        assert!(!other.contains("TLS"), "{other}");
    }
}
