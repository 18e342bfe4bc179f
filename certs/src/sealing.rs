//! Log-ins that only the bank can read: HPKE (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305, with the TLS library's own implementation.

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use strife_proto::commit::BankName;

use crate::CertsError;

/// Bytes of the encapsulated key, which stands before the ciphertext.
const ENCAPSULATED_BYTES: usize = 32;

/// What a sealed message is for.
const INFO: &[u8] = b"strife/login/v1";

/// Makes a sealing key pair: private bytes, public bytes.
///
/// # Errors
/// [`CertsError::Random`].
pub fn generate() -> Result<(Vec<u8>, [u8; 32]), CertsError> {
    let (public, private) = SUITE.generate_key_pair().map_err(|_| CertsError::Random)?;
    let public = public.0.as_slice().try_into().map_err(|_| CertsError::Random)?;
    Ok((private.secret_bytes().to_vec(), public))
}

/// Seals a message to a bank.
///
/// # Errors
/// [`CertsError::Sealed`] where the key is no X25519 key.
pub fn seal(bank: &BankName, public: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, CertsError> {
    let key = HpkePublicKey(public.to_vec());
    let (encapsulated, ciphertext) =
        SUITE.seal(INFO, bank.as_str().as_bytes(), message, &key).map_err(|_| CertsError::Sealed)?;
    Ok([encapsulated.0, ciphertext].concat())
}

/// Opens what was sealed to this bank.
///
/// # Errors
/// [`CertsError::Sealed`].
pub fn open(bank: &BankName, private: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CertsError> {
    let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(CertsError::Sealed)?;
    let key = HpkePrivateKey::from(private.to_vec());
    SUITE
        .open(&EncapsulatedSecret(encapsulated.to_vec()), INFO, bank.as_str().as_bytes(), ciphertext, &key)
        .map_err(|_| CertsError::Sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bank_that_it_was_sealed_to_opens_it() {
        let one = BankName::new("Bank1").unwrap();
        let two = BankName::new("Bank2").unwrap();
        let (private, public) = generate().unwrap();
        let (other, _) = generate().unwrap();
        let sealed = seal(&one, &public, b"pass1").unwrap();
        assert_eq!(open(&one, &private, &sealed).unwrap(), b"pass1");
        assert!(open(&two, &private, &sealed).is_err());
        assert!(open(&one, &other, &sealed).is_err());
        assert!(open(&one, &private, &sealed[..40]).is_err());
        assert!(open(&one, &private, b"short").is_err());
        assert!(!sealed.windows(5).any(|bytes| bytes == b"pass1"));
    }
}
