//! The roster: every bank's public keys, signed by the network, versions only rising. Nothing that a gateway
//! serves can add or change a key.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use strife_proto::commit::BankName;
use strife_proto::signing::{PublicKey, SigningKey, Tag};
use strife_proto::v1;

use crate::{CertsError, pem};

/// One bank's public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankPublicKeys {
    /// Statements.
    pub signing: PublicKey,
    /// Sealed log-ins (X25519).
    pub sealing: [u8; 32],
    /// Session tokens.
    pub token: PublicKey,
}

/// The network's banks and their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Name of the network.
    pub network: String,
    /// Only ever rises.
    pub version: u64,
    /// By name.
    pub banks: BTreeMap<BankName, BankPublicKeys>,
}

impl Roster {
    /// Verifies a signed roster against the network's roster key.
    ///
    /// # Errors
    /// [`CertsError::Roster`] with what is wrong.
    pub fn verify(signed: &[u8], network: &str, key: &PublicKey) -> Result<Self, CertsError> {
        let bad = CertsError::Roster;
        let signed = v1::SignedRoster::decode(signed).map_err(|_| bad("not a roster"))?;
        key.verify_raw(Tag::Roster, &signed.roster, &signed.signature)
            .map_err(|_| bad("not signed by this network"))?;
        let wire = v1::Roster::decode(signed.roster).map_err(|_| bad("not a roster"))?;
        if wire.network != network {
            return Err(bad("of another network"));
        }
        let mut banks = BTreeMap::new();
        for bank in wire.banks {
            let name = BankName::new(&bank.name).map_err(|_| bad("a bank's name is malformed"))?;
            let key = |bytes: &Bytes| PublicKey::from_slice(bytes).map_err(|_| bad("a key is malformed"));
            let keys = BankPublicKeys {
                signing: key(&bank.signing_key)?,
                sealing: key(&bank.sealing_key)?.0,
                token: key(&bank.token_key)?,
            };
            if banks.insert(name, keys).is_some() {
                return Err(bad("a bank stands twice"));
            }
        }
        Ok(Self { network: wire.network, version: wire.version, banks })
    }

    /// Reads and verifies a roster file.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::Roster`].
    pub fn load(path: &Path, network: &str, key: &PublicKey) -> Result<Self, CertsError> {
        Self::verify(&pem::read_file(path)?, network, key)
    }

    /// Signs this roster.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let public = |key: &[u8; 32]| Bytes::copy_from_slice(key);
        let banks = self.banks.iter().map(|(name, keys)| v1::RosterBank {
            name: name.to_string(),
            signing_key: public(&keys.signing.0),
            sealing_key: public(&keys.sealing),
            token_key: public(&keys.token.0),
        });
        let wire =
            v1::Roster { network: self.network.clone(), version: self.version, banks: banks.collect() };
        let roster = Bytes::from(wire.encode_to_vec());
        let signature = key.sign_raw(Tag::Roster, &roster);
        v1::SignedRoster { roster, signature }.encode_to_vec()
    }

    /// The key that a bank signs its statements with.
    pub fn signing_key(&self, bank: &BankName) -> Option<PublicKey> {
        self.banks.get(bank).map(|keys| keys.signing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let key = |seed: u8| *SigningKey::from_seed(&[seed; 32]).unwrap().public();
        let keys = BankPublicKeys { signing: key(2), sealing: [3; 32], token: key(4) };
        let banks = BTreeMap::from([(BankName::new("Bank1").unwrap(), keys)]);
        Roster { network: "demo".into(), version: 7, banks }
    }

    #[test]
    fn only_the_networks_own_roster_is_believed() {
        let network_key = SigningKey::from_seed(&[1; 32]).unwrap();
        let forger = SigningKey::from_seed(&[9; 32]).unwrap();
        let signed = roster().sign(&network_key);
        assert_eq!(Roster::verify(&signed, "demo", network_key.public()).unwrap(), roster());
        assert!(Roster::verify(&signed, "other", network_key.public()).is_err());
        assert!(Roster::verify(&roster().sign(&forger), "demo", network_key.public()).is_err());
        assert!(Roster::verify(b"", "demo", network_key.public()).is_err());
        for place in 0..signed.len() {
            let mut altered = signed.clone();
            altered[place] ^= 1;
            assert!(Roster::verify(&altered, "demo", network_key.public()).is_err(), "byte {place}");
        }
    }
}
