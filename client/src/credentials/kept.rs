//! A session as it is kept: everything that is needed to go on with it, and to see that it is still this client's.

use serde::{Deserialize, Serialize};
use strife_proto::commit::BankName;
use strife_proto::signing::PublicKey;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::api::Session;

/// The one form that is written; another one is not read.
const VERSION: u32 = 1;

/// A kept session. Never a password.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    version: u32,
    network: String,
    bank: String,
    person: String,
    display_name: String,
    expires_at_ms: i64,
    /// SHA-256 of the client certificate's public key, to which the bank has bound the session.
    client_key_hash: [u8; 32],
    /// Id of the device key that was registered with it.
    device_key: Vec<u8>,
    token: String,
}

/// Why a kept session is not resumed, for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not something that this program has kept.
    #[error("What was kept of your session cannot be read. Please sign in.")]
    Malformed,
    /// Its time is over.
    #[error("Your session has ended. Please sign in.")]
    Expired,
    /// Of another network, or of a certificate that this client has no more.
    #[error("Your session was of another certificate. Please sign in.")]
    OtherCertificate,
    /// The device key is gone, or another one.
    #[error("This device's key is not here any more. Please sign in to register one.")]
    NoDeviceKey,
}

impl Kept {
    /// What to keep of a session.
    pub fn new(session: &Session, network: &str, client_key_hash: [u8; 32], device: &PublicKey) -> Self {
        Self {
            version: VERSION,
            network: network.to_owned(),
            bank: session.bank.to_string(),
            person: session.person.clone(),
            display_name: session.display_name.clone(),
            expires_at_ms: session.expires_at_ms,
            client_key_hash,
            device_key: device.id().0.to_vec(),
            token: session.token().to_owned(),
        }
    }

    /// As bytes for a store.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // strings and numbers always serialise; nothing is what no store gives back as a session
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What a store has given back, if it is a session of this client that has not ended.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn decode(
        bytes: &[u8],
        network: &str,
        client_key_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Self, Unusable> {
        let kept: Kept = serde_json::from_slice(bytes).map_err(|_| Unusable::Malformed)?;
        if kept.version != VERSION {
            return Err(Unusable::Malformed);
        }
        if kept.network != network || kept.client_key_hash != client_key_hash {
            return Err(Unusable::OtherCertificate);
        }
        if kept.expires_at_ms <= now_ms {
            return Err(Unusable::Expired);
        }
        Ok(kept)
    }

    /// The bank whose session it is.
    ///
    /// # Errors
    /// [`Unusable::Malformed`].
    pub fn bank(&self) -> Result<BankName, Unusable> {
        BankName::new(&self.bank).map_err(|_| Unusable::Malformed)
    }

    /// Whose session it is.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// Whether it was made with this device key.
    pub fn is_of(&self, device: &PublicKey) -> bool {
        self.device_key == device.id().0
    }

    /// The session, to go on with.
    ///
    /// # Errors
    /// [`Unusable::Malformed`].
    pub fn into_session(mut self) -> Result<Session, Unusable> {
        let mut session = Session::from_token(self.bank()?, &self.person, std::mem::take(&mut self.token));
        session.display_name = self.display_name.clone();
        session.expires_at_ms = self.expires_at_ms;
        Ok(session)
    }
}
