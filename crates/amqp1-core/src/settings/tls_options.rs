//! The option `tls`.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::settings::suggest::unknown_option;

/// TLS files and switches. The files are read when a connection is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// PEM file with the client's certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key: Option<PathBuf>,
    /// PEM file with the CA certificates to trust instead of the system's.
    pub root_ca: Option<PathBuf>,
    /// Whether to trust any certificate; only for experiments.
    pub insecure_skip_verify: bool,
}

impl TlsOptions {
    /// Reads the option.
    pub(super) fn read(value: &Input, path: &str) -> Result<Self> {
        const NAMES: [&str; 4] = ["cert", "key", "root_ca", "insecure_skip_verify"];
        let mut tls = TlsOptions::default();
        if let Input::Text(_) = value {
            // The message does not repeat the value, which may be a key.
            return Err(Error::config(format!(
                "{path}: expected an array of name => value, got a string"
            )));
        }
        for (key, value) in value.map(path)? {
            let path = &format!("{path}.{key}");
            match (key.as_str(), value) {
                (_, Input::Null) => {}
                ("cert", value) => tls.cert = Some(file(value, path)?),
                ("key", value) => tls.key = Some(file(value, path)?),
                ("root_ca", value) => tls.root_ca = Some(file(value, path)?),
                ("insecure_skip_verify", value) => tls.insecure_skip_verify = value.bool(path)?,
                _ => return Err(Error::config(unknown_option(path, key, &NAMES))),
            }
        }
        if tls.cert.is_some() != tls.key.is_some() {
            return Err(Error::config(format!(
                "{path}: 'cert' and 'key' must be set together"
            )));
        }
        Ok(tls)
    }
}

/// A file's path. The contents of a file are refused before any message could repeat them as a
/// path, because they may be a key.
fn file(value: &Input, path: &str) -> Result<PathBuf> {
    let text = match value {
        Input::Text(text) => text,
        _ => {
            return Err(Error::config(format!(
                "{path}: expected the path of a PEM file"
            )))
        }
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    // DER begins with the tag of a sequence, 0x30, which is an M in base64.
    let is_der = text.len() > 40 && text.starts_with('M') && text.bytes().all(is_base64);
    if is_der || text.contains(['\n', '\r', '\0']) || text.contains("-----BEGIN") {
        return Err(Error::config(format!(
            "{path}: expected the path of a PEM file, got what looks like its content"
        )));
    }
    value.not_empty(path).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHN+qvJEu";

    fn read(entry: (String, Input)) -> Result<TlsOptions> {
        TlsOptions::read(&Input::Map(vec![entry]), "test: option 'tls'")
    }

    #[test]
    fn a_key_in_place_of_its_path_is_refused_and_not_repeated() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
        let one_line = format!("-----BEGIN PRIVATE KEY-----{KEY}-----END PRIVATE KEY-----");
        for content in [KEY.to_owned(), pem, one_line] {
            for name in ["cert", "key", "root_ca"] {
                let entry = (name.to_owned(), Input::Text(content.clone()));
                let error = read(entry).unwrap_err();
                assert!(error.message().contains(name), "{error}");
                assert!(!error.message().contains("MIGHAgEA"), "{error}");
            }
            let error = TlsOptions::read(&Input::Text(content), "tls").unwrap_err();
            assert!(!error.message().contains("MIGHAgEA"), "{error}");
        }
    }

    #[test]
    fn paths_are_taken() {
        for path in ["/etc/ssl/private/client.key", "My.key", "M/A/Y"] {
            let entry = ("root_ca".to_owned(), Input::Text(path.to_owned()));
            let options = read(entry).unwrap();
            assert_eq!(options.root_ca, Some(path.into()));
            assert!(format!("{options:?}").contains(path));
        }
    }
}
