//! What a daemon believes: its network, the roster, its own identity. Read once at the start.

use std::sync::Arc;

use strife_certs::CertsError;
use strife_certs::authority::read_trust;
use strife_certs::identity::Peer;
use strife_certs::roster::Roster;
use strife_certs::tls::Material;
use strife_config::{TlsFiles, TrustFiles};
use strife_proto::batch::Roots;
use strife_proto::commit::BankName;
use strife_proto::signing::PublicKey;
use strife_proto::statement::Statement;
use strife_proto::{Refusal, v1};
use tokio_rustls::rustls::{ClientConfig, ServerConfig};

/// What a daemon believes, and TLS for both directions.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The network's banks and their keys.
    pub roster: Arc<Roster>,
    /// Who this daemon's certificate says it is.
    pub own: Peer,
    /// For those who connect to it.
    pub server: Arc<ServerConfig>,
    /// For those it connects to.
    pub client: Arc<ClientConfig>,
    /// Roots of other banks' batches that were verified.
    roots: Arc<Roots>,
}

impl Trust {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`CertsError`], naming the file.
    pub fn load(tls: &TlsFiles, files: &TrustFiles) -> Result<Self, CertsError> {
        let (network, roster_key) = read_trust(&files.trust)?;
        let roster = Roster::load(&files.roster, &network, &roster_key)?;
        let material = Material {
            authority: &files.authority,
            certificate: &tls.certificate,
            private_key: &tls.private_key,
        };
        let own = material.own_identity()?;
        if own.network != network {
            return Err(CertsError::Roster("of another network than the certificate"));
        }
        Ok(Self {
            roster: Arc::new(roster),
            own,
            server: material.server()?,
            client: material.client()?,
            roots: Arc::default(),
        })
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.roster.network
    }

    /// The key that a bank signs its session tokens with.
    pub fn token_key(&self, bank: &BankName) -> Option<PublicKey> {
        self.roster.banks.get(bank).map(|keys| keys.token)
    }

    /// Verifies a statement with the roster's key of the bank that it says it is of.
    ///
    /// # Errors
    /// As [`Statement::verify`].
    pub fn verify(&self, wire: &v1::Statement) -> Result<Statement, Refusal> {
        Statement::verify(wire, self.network(), |bank| self.roster.signing_key(bank), Some(&self.roots))
    }
}
