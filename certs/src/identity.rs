//! Who a certificate says its holder is: one SAN URI, `spiffe://<network>/…` (SPIFFE-ID).

use std::fmt;

use rustls::pki_types::CertificateDer;
use strife_proto::commit::BankName;
use strife_proto::signing::sha256;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::CertsError;

/// A member of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// A bank's daemon.
    Bank(BankName),
    /// A gateway's daemon.
    Gateway(String),
    /// A person's or program's client. It says which machine, not which person.
    Client(String),
    /// Somebody who administers one bank.
    Operator {
        /// The bank.
        bank: BankName,
        /// Who.
        name: String,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Bank(name) => write!(f, "bank/{name}"),
            Identity::Gateway(name) => write!(f, "gateway/{name}"),
            Identity::Client(name) => write!(f, "client/{name}"),
            Identity::Operator { bank, name } => write!(f, "bank/{bank}/operator/{name}"),
        }
    }
}

impl Identity {
    /// The SAN URI of this identity in a network.
    ///
    /// # Errors
    /// [`CertsError::Name`] for a name that cannot stand in a URI.
    pub fn uri(&self, network: &str) -> Result<String, CertsError> {
        check_name(network)?;
        match self {
            Identity::Bank(_) => {}
            Identity::Gateway(name) | Identity::Client(name) | Identity::Operator { name, .. } => {
                check_name(name)?;
            }
        }
        Ok(format!("spiffe://{network}/{self}"))
    }

    /// The identity of a SAN URI, and its network.
    pub fn from_uri(uri: &str) -> Option<(String, Identity)> {
        let path = uri.strip_prefix("spiffe://")?;
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| check_name(part).is_err()) {
            return None;
        }
        let identity = match parts.as_slice() {
            [_, "bank", bank] => Identity::Bank(BankName::new(bank).ok()?),
            [_, "gateway", name] => Identity::Gateway((*name).to_owned()),
            [_, "client", name] => Identity::Client((*name).to_owned()),
            [_, "bank", bank, "operator", name] => {
                Identity::Operator { bank: BankName::new(bank).ok()?, name: (*name).to_owned() }
            }
            _ => return None,
        };
        Some(((*parts.first()?).to_owned(), identity))
    }

    /// The DNS name that stands in the certificates of this kind of member. It only tells kinds apart; who a
    /// server is says its URI, which [`crate::tls::peer_of`] reads after the handshake.
    pub fn server_name(&self) -> &'static str {
        match self {
            Identity::Bank(_) => "bank.strife.internal",
            Identity::Gateway(_) => "gateway.strife.internal",
            Identity::Client(_) | Identity::Operator { .. } => "member.strife.internal",
        }
    }
}

/// Checks a network's or member's name.
pub(crate) fn check_name(name: &str) -> Result<(), CertsError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed) && name != "." && name != ".." {
        return Ok(());
    }
    Err(CertsError::Name(name.to_owned()))
}

/// Who is at the other end of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The network of its certificate.
    pub network: String,
    /// Who it is.
    pub identity: Identity,
    /// SHA-256 of the certificate's SubjectPublicKeyInfo: what sessions are bound to.
    pub key_hash: [u8; 32],
}

impl Peer {
    /// Reads a verified chain. Only clients may come from an intermediate: whoever holds the client-issuing
    /// intermediate cannot become a bank, a gateway or an operator.
    ///
    /// # Errors
    /// [`CertsError::NoIdentity`], [`CertsError::Malformed`].
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, CertsError> {
        let leaf = chain.first().ok_or(CertsError::NoIdentity)?;
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| CertsError::Malformed)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| CertsError::Malformed)?
            .ok_or(CertsError::NoIdentity)?;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let (network, identity) = uris.next().and_then(Identity::from_uri).ok_or(CertsError::NoIdentity)?;
        let from_intermediate = chain.len() > 1;
        if uris.next().is_some() || from_intermediate && !matches!(identity, Identity::Client(_)) {
            return Err(CertsError::NoIdentity);
        }
        Ok(Self { network, identity, key_hash: sha256(certificate.public_key().raw) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_their_uri_and_nothing_else_parses() {
        let bank = BankName::new("Bank1").unwrap();
        for identity in [
            Identity::Bank(bank.clone()),
            Identity::Gateway("g1".into()),
            Identity::Client("a.b-c_d".into()),
            Identity::Operator { bank, name: "ann".into() },
        ] {
            let uri = identity.uri("demo").unwrap();
            assert_eq!(Identity::from_uri(&uri), Some(("demo".into(), identity)));
        }
        for bad in [
            "",
            "https://demo/bank/Bank1",
            "spiffe://demo/bank/",
            "spiffe://demo/bank/Bank1/",
            "spiffe://demo/bank/Bank1/operator",
            "spiffe://demo/../bank/Bank1",
            "spiffe:///bank/Bank1",
            "spiffe://demo/root/x",
            "spiffe://demo/client/a b",
        ] {
            assert_eq!(Identity::from_uri(bad), None, "{bad}");
        }
        assert!(Identity::Client("a/b".into()).uri("demo").is_err());
    }
}
