//! Looking at certificates for a person: who, by whom, until when, and whether the pieces fit together. Judges
//! nothing that a connection rests on; [`crate::tls`] does that.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use strife_proto::signing::sha256;
use strife_seams::Dial;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::{Identity, Peer};
use crate::tls::{Material, peer_of, provider, server_name};
use crate::{CertsError, pem};

/// What stands in a member's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who it says that its holder is.
    pub peer: Peer,
    /// From when it is valid, milliseconds since the Unix epoch.
    pub not_before_ms: i64,
    /// Until when it is valid, milliseconds since the Unix epoch.
    pub not_after_ms: i64,
}

impl Facts {
    /// Reads a chain, its holder's certificate first.
    ///
    /// # Errors
    /// [`CertsError::NoIdentity`], [`CertsError::Malformed`].
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Result<Self, CertsError> {
        let peer = Peer::from_chain(chain)?;
        let leaf = chain.first().ok_or(CertsError::NoIdentity)?;
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| CertsError::Malformed)?;
        let validity = certificate.validity();
        Ok(Self {
            peer,
            not_before_ms: validity.not_before.timestamp().saturating_mul(1_000),
            not_after_ms: validity.not_after.timestamp().saturating_mul(1_000),
        })
    }
}

impl Material<'_> {
    /// What stands in the own certificate.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::Empty`], [`CertsError::NoIdentity`], [`CertsError::Malformed`].
    pub fn facts(&self) -> Result<Facts, CertsError> {
        Facts::of_chain(&pem::read_certificates(self.certificate)?)
    }

    /// Checks that the own certificate was issued by the authority and is valid at a moment, in milliseconds since
    /// the Unix epoch.
    ///
    /// # Errors
    /// [`CertsError::Tls`] with what is wrong with it; [`CertsError::File`], [`CertsError::Empty`].
    pub fn check_issued(&self, at_ms: i64) -> Result<(), CertsError> {
        let chain = pem::read_certificates(self.certificate)?;
        let (leaf, intermediates) = chain.split_first().ok_or(CertsError::NoIdentity)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider()).build()?;
        let since = std::time::Duration::from_millis(u64::try_from(at_ms).unwrap_or(0));
        verifier.verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(since))?;
        Ok(())
    }

    /// Checks that the private key is readable by its owner alone, and that it is the certificate's.
    ///
    /// # Errors
    /// [`CertsError::TooOpen`], [`CertsError::Tls`], [`CertsError::File`], [`CertsError::Empty`].
    pub fn check_key(&self) -> Result<(), CertsError> {
        self.client().map(|_| ())
    }
}

/// The SHA-256 fingerprint of the first certificate of a PEM file: pairs of hexadecimal digits with colons, as
/// `openssl x509 -fingerprint -sha256` shows it.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::Empty`], [`CertsError::Malformed`].
pub fn fingerprint(path: &std::path::Path) -> Result<String, CertsError> {
    let certificates = pem::read_certificates(path)?;
    let first = certificates.first().ok_or(CertsError::Malformed)?;
    X509Certificate::from_der(first).map_err(|_| CertsError::Malformed)?;
    Ok(sha256(first).map(|byte| format!("{byte:02X}")).join(":"))
}

/// The day of a moment, UTC, as `2026-11-21`.
pub fn day_of(at_ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000));
    let day = moment.ok().and_then(|at| at.format(format_description!("[year]-[month]-[day]")).ok());
    day.unwrap_or_else(|| "beyond the calendar".into())
}

/// Connects to a gateway and shakes hands: what its certificate says, after the handshake has verified it.
///
/// # Errors
/// No connection, or a handshake that failed; [`rustls::Error`] inside says why.
pub async fn greet_gateway(
    dial: &Arc<dyn Dial>,
    address: &str,
    config: Arc<ClientConfig>,
) -> io::Result<Facts> {
    let any = Identity::Gateway("any".into());
    let stream = dial.dial(address).await?;
    let stream = TlsConnector::from(config).connect(server_name(&any), stream).await?;
    let chain = stream.get_ref().1.peer_certificates();
    peer_of(chain).map_err(io::Error::other)?;
    Facts::of_chain(chain.unwrap_or_default()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Network;

    #[test]
    fn a_members_material_is_judged_piece_by_piece() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (network, other) =
            (Network::create(one.path(), "demo").unwrap(), Network::create(two.path(), "demo").unwrap());
        let ann = network.issue(&Identity::Client("ann".into()), 40).unwrap();
        let bob = network.issue(&Identity::Client("bob".into()), 40).unwrap();
        let (ca, other_ca) = (network.ca_file(), other.ca_file());
        let material =
            |authority, private_key| Material { authority, certificate: &ann.certificate, private_key };
        let good = material(&ca, &ann.private_key);
        let facts = good.facts().unwrap();
        assert_eq!(facts.peer.identity, Identity::Client("ann".into()));
        let day_ms = 86_400_000;
        let now_ms = facts.not_after_ms - 40 * day_ms;
        good.check_issued(now_ms).unwrap();
        good.check_key().unwrap();
        let expired = good.check_issued(now_ms + 41 * day_ms).unwrap_err();
        assert!(expired.to_string().contains("expired"), "{expired}");
        assert!(good.check_issued(now_ms - 2 * day_ms).is_err());
        assert!(matches!(
            material(&other_ca, &ann.private_key).check_issued(now_ms),
            Err(CertsError::Tls(_))
        ));
        assert!(matches!(material(&ca, &bob.private_key).check_key(), Err(CertsError::Tls(_))));
    }

    #[test]
    fn a_fingerprint_is_written_as_other_tools_write_it() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::create(dir.path(), "demo").unwrap();
        let print = fingerprint(&network.ca_file()).unwrap();
        assert_eq!((print.len(), print.matches(':').count()), (95, 31));
        assert!(print.chars().all(|c| c == ':' || c.is_ascii_digit() || ('A'..='F').contains(&c)));
        assert!(matches!(fingerprint(&network.trust_file()), Err(CertsError::Empty { .. })));
        assert_eq!(day_of(1_795_219_200_000), "2026-11-21");
        assert_eq!(day_of(i64::MAX), "beyond the calendar");
    }
}
