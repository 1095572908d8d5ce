//! TLS with rustls: system roots or a private CA, client certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::ResolvesClientCert;
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Result};
use crate::settings::options::TlsOptions;

/// Reads the files, so that an invalid one is reported before the first connection.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with the name of the invalid file.
pub(crate) fn check(options: &TlsOptions) -> Result<()> {
    if let Some(path) = &options.root_ca {
        private_roots(path)?;
    }
    // Without a certificate there is nothing to read, and no need for rustls.
    if options.cert.is_none() || options.key.is_none() {
        return Ok(());
    }
    identity(options, &ring::default_provider()).map(drop)
}

/// The client's TLS configuration, with at least TLS 1.2.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with the name of the invalid file.
pub(crate) fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let identity = identity(options, &provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config(format!("TLS: {error}")))?;
    let builder = if options.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerifier(provider)))
    } else {
        builder.with_root_certificates(match &options.root_ca {
            Some(path) => private_roots(path)?,
            None => system_roots()?,
        })
    };
    Ok(Arc::new(match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    }))
}

fn private_roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates("tls.root_ca", path)?) {
        (0, _) => Err(unusable("tls.root_ca", path, "contains no CA certificate")),
        _ => Ok(roots),
    }
}

fn system_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => {
            let why = found.errors.first().map(|error| format!(" ({error})"));
            Err(Error::config(format!(
                "TLS: the system has no CA certificates{}; install ca-certificates or set tls.root_ca",
                why.unwrap_or_default()
            )))
        }
        _ => Ok(roots),
    }
}

/// The client's certificate with its key.
fn identity(
    options: &TlsOptions,
    provider: &CryptoProvider,
) -> Result<Option<Arc<dyn ResolvesClientCert>>> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(None);
    };
    let chain = certificates("tls.cert", cert)?;
    match CertifiedKey::from_der(chain, private_key(key)?, provider) {
        Ok(pair) => Ok(Some(Arc::new(SingleCertAndKey::from(pair)))),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Error::config(format!(
            "tls.key: {} does not match the certificate in tls.cert ({})",
            key.display(),
            cert.display()
        ))),
        Err(rustls::Error::InvalidCertificate(_)) => Err(unusable(
            "tls.cert",
            cert,
            "does not begin with a valid X.509 certificate",
        )),
        Err(_) => Err(unusable(
            "tls.key",
            key,
            "contains no usable key: RSA, ECDSA (P-256, P-384) and Ed25519 are supported",
        )),
    }
}

fn unusable(option: &str, path: &Path, why: &str) -> Error {
    Error::config(format!("{option}: {} {why}", path.display()))
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    const NONE: &str =
        "contains no PEM certificate; convert DER with: openssl x509 -inform DER -in … -out …";
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>)
        .map_err(|error| of_pem(option, path, error, NONE))?;
    if certificates.is_empty() {
        return Err(unusable(option, path, NONE));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        let none = "contains no unencrypted PEM private key; remove the password with: openssl pkey -in … -out …";
        of_pem("tls.key", path, error, none)
    })
}

/// The parser's error repeats its input, which may be a key, so the message omits it.
fn of_pem(option: &str, path: &Path, error: pem::Error, none: &str) -> Error {
    match error {
        pem::Error::Io(error) => Error::config(format!("{option}: {}: {error}", path.display())),
        pem::Error::NoItemsFound => unusable(option, path, none),
        _ => unusable(option, path, "is not well-formed PEM"),
    }
}

/// `insecure_skip_verify`: accepts any certificate.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
