//! TLS 1.3 alone, both sides with a certificate of the network, HTTP/2 alone.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::identity::{Identity, Peer};
use crate::{CertsError, pem};

/// Makes aws-lc-rs the process's crypto provider. Call it first in every `main`; a second call does nothing.
pub fn install_provider() {
    // Err means that a provider is installed already, which is this one: nothing else in the tree has one
    let _ = aws_lc_rs::default_provider().install_default();
}

/// Where a member's TLS material lies.
#[derive(Clone, Debug)]
pub struct Material<'a> {
    /// The network's root certificate (PEM).
    pub authority: &'a Path,
    /// The member's certificate, then any intermediate (PEM).
    pub certificate: &'a Path,
    /// The member's private key (PEM, mode 0600).
    pub private_key: &'a Path,
}

impl Material<'_> {
    pub(crate) fn roots(&self) -> Result<RootCertStore, CertsError> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::read_certificates(self.authority)? {
            roots.add(certificate)?;
        }
        Ok(roots)
    }

    /// Who the certificate says that its holder is.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::NoIdentity`], [`CertsError::Malformed`].
    pub fn own_identity(&self) -> Result<Peer, CertsError> {
        Peer::from_chain(&pem::read_certificates(self.certificate)?)
    }

    /// A server that takes no connection without a certificate of the network.
    ///
    /// # Errors
    /// Material that cannot be read or does not fit together.
    pub fn server(&self) -> Result<Arc<ServerConfig>, CertsError> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                pem::read_certificates(self.certificate)?,
                pem::read_private_key(self.private_key)?,
            )?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// A client that shows its certificate and takes none but the network's.
    ///
    /// # Errors
    /// Material that cannot be read or does not fit together.
    pub fn client(&self) -> Result<Arc<ClientConfig>, CertsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(
                pem::read_certificates(self.certificate)?,
                pem::read_private_key(self.private_key)?,
            )?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The TLS server name to ask for when connecting to a kind of member.
pub fn server_name(identity: &Identity) -> ServerName<'static> {
    // a constant DNS name parses
    ServerName::try_from(identity.server_name()).expect("constant names are valid DNS names")
}

/// Who is at the other end, after the handshake has verified the chain.
///
/// # Errors
/// [`CertsError::NoIdentity`] where the other side showed none.
pub fn peer_of(chain: Option<&[CertificateDer<'static>]>) -> Result<Peer, CertsError> {
    Peer::from_chain(chain.ok_or(CertsError::NoIdentity)?)
}
