//! Ed25519 signatures (RFC 8032), each over a domain tag and the exact bytes, so that a signature for one
//! purpose is worth nothing for another.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{digest, error::Unspecified};
use bytes::Bytes;

use crate::batch::{self, Roots};
use crate::{Refusal, v1};

/// What a signature is for. The tag, with a zero byte after it, comes before the signed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// A person's device over an order's bytes.
    Order,
    /// A person's device over the bytes of an order that it cancels.
    Cancel,
    /// A person's device over bank, person and client key hash, to show that it holds its key.
    Device,
    /// A bank over a statement's body.
    Statement,
    /// A bank over the root of what it said in one batch.
    Batch,
    /// The network over its roster.
    Roster,
}

impl Tag {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Tag::Order => b"strife/order/v1\0",
            Tag::Cancel => b"strife/cancel/v1\0",
            Tag::Device => b"strife/device/v1\0",
            Tag::Statement => b"strife/statement/v1\0",
            Tag::Batch => b"strife/batch/v1\0",
            Tag::Roster => b"strife/roster/v1\0",
        }
    }

    pub(crate) fn over(self, message: &[u8]) -> Vec<u8> {
        [self.bytes(), message].concat()
    }
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Fills an array from the system's random source.
///
/// # Errors
/// The system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

/// The first 16 bytes of a public key's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// Takes exactly 16 bytes.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        bytes.try_into().map(Self).map_err(|_| Refusal::Malformed)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Takes exactly 32 bytes.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        bytes.try_into().map(Self).map_err(|_| Refusal::Malformed)
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(&self.0)[..16]);
        KeyId(id)
    }

    /// Verifies raw signature bytes.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`].
    pub fn verify_raw(&self, tag: Tag, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(&tag.over(message), signature)
            .map_err(|_| Refusal::BadSignature)
    }

    /// Verifies a signature from the wire, which must name this key.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`].
    pub fn verify(&self, tag: Tag, message: &[u8], signature: &v1::Signature) -> Result<(), Refusal> {
        if signature.key_id != self.id().0.as_slice() {
            return Err(Refusal::BadSignature);
        }
        match &signature.form {
            Some(v1::signature::Form::Single(raw)) => self.verify_raw(tag, message, raw),
            Some(v1::signature::Form::Batched(_)) | None => Err(Refusal::BadSignature),
        }
    }

    /// Verifies a bank's signature of a statement's body, which must name this key. Roots that are known are not verified
    /// again, and new ones are remembered.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`].
    pub fn verify_statement(
        &self,
        body: &[u8],
        signature: &v1::Signature,
        roots: Option<&Roots>,
    ) -> Result<(), Refusal> {
        match &signature.form {
            Some(v1::signature::Form::Batched(batched)) if signature.key_id == self.id().0.as_slice() => {
                batch::verify(self, body, batched, roots)
            }
            _ => self.verify(Tag::Statement, body, signature),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}", self.id())
    }
}

/// An Ed25519 key pair. Its Debug shows the public half alone.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// The key pair of a 32-byte seed.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for any other length.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Refusal> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Refusal::Malformed)?;
        let public = PublicKey::from_slice(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs; Ed25519 is deterministic, so the same bytes always get the same signature.
    pub fn sign_raw(&self, tag: Tag, message: &[u8]) -> Bytes {
        Bytes::copy_from_slice(self.pair.sign(&tag.over(message)).as_ref())
    }

    /// Signs, in the form that travels.
    pub fn sign(&self, tag: Tag, message: &[u8]) -> v1::Signature {
        v1::Signature {
            key_id: Bytes::copy_from_slice(&self.public.id().0),
            form: Some(v1::signature::Form::Single(self.sign_raw(tag, message))),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// Takes a signature of the one form that people's devices make: a key id of 16 bytes and 64 bytes of Ed25519. Whoever stores
/// or passes on a signature that it cannot verify checks this first, so that its size is known.
///
/// # Errors
/// [`Refusal::BadSignature`].
pub fn well_formed(signature: Option<v1::Signature>) -> Result<v1::Signature, Refusal> {
    let signature = signature.ok_or(Refusal::BadSignature)?;
    match &signature.form {
        Some(v1::signature::Form::Single(raw)) if raw.len() == 64 && signature.key_id.len() == 16 => {
            Ok(signature)
        }
        _ => Err(Refusal::BadSignature),
    }
}

/// What a device signs to show that it holds the key that it registers.
pub fn device_proof_message(bank: &str, person: &str, client_key_hash: &[u8]) -> Vec<u8> {
    [bank.as_bytes(), b"\0", person.as_bytes(), b"\0", client_key_hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_its_purpose_and_its_bytes_alone() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let other = SigningKey::from_seed(&[2; 32]).unwrap();
        let signature = key.sign(Tag::Order, b"pay");
        assert_eq!(key.public().verify(Tag::Order, b"pay", &signature), Ok(()));
        let refused = Err(Refusal::BadSignature);
        assert_eq!(key.public().verify(Tag::Cancel, b"pay", &signature), refused);
        assert_eq!(key.public().verify(Tag::Order, b"pax", &signature), refused);
        assert_eq!(other.public().verify(Tag::Order, b"pay", &signature), refused);
        let unnamed = v1::Signature { key_id: Bytes::new(), ..signature.clone() };
        assert_eq!(key.public().verify(Tag::Order, b"pay", &unnamed), refused);
        let empty = v1::Signature { form: None, ..signature };
        assert_eq!(key.public().verify(Tag::Order, b"pay", &empty), refused);
        assert!(!format!("{key:?}").contains("01010101"));
    }
}
