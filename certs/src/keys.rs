//! A bank's own private keys, separate from its TLS key: one file each, mode 0600.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use strife_proto::signing::{self, SigningKey};
use zeroize::Zeroizing;

use crate::roster::BankPublicKeys;
use crate::{CertsError, pem, sealing};

const SIGNING: &str = "signing.key";
const SEALING: &str = "sealing.key";
const TOKEN: &str = "token.key";

/// The private halves of what stands in the roster.
#[derive(Debug)]
pub struct BankKeys {
    /// Statements.
    pub signing: SigningKey,
    /// Log-ins sealed to this bank (X25519).
    pub sealing: Zeroizing<Vec<u8>>,
    /// Session tokens: the Ed25519 seed, in the form that the token library takes.
    pub token: SigningKey,
    /// The same as `token`, as PKCS #8.
    pub token_pkcs8: Zeroizing<Vec<u8>>,
}

impl BankKeys {
    /// Makes three new keys in a folder and returns their public halves.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::Random`].
    pub fn generate(dir: &Path) -> Result<BankPublicKeys, CertsError> {
        let (sealing_private, sealing) = sealing::generate()?;
        let signing = write_seed(&dir.join(SIGNING))?;
        let token = write_seed(&dir.join(TOKEN))?;
        write_base64(&dir.join(SEALING), &sealing_private)?;
        Ok(BankPublicKeys { signing: *signing.public(), sealing, token: *token.public() })
    }

    /// Reads the three keys of a folder.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::TooOpen`], [`CertsError::Empty`].
    pub fn load(dir: &Path) -> Result<Self, CertsError> {
        let token_seed = read_base64(&dir.join(TOKEN))?;
        Ok(Self {
            signing: read_signing_key(&dir.join(SIGNING))?,
            sealing: read_base64(&dir.join(SEALING))?,
            token: read_signing_key(&dir.join(TOKEN))?,
            token_pkcs8: Zeroizing::new([ED25519_PKCS8_PREFIX, token_seed.as_slice()].concat()),
        })
    }
}

/// PKCS #8 version 1 header of an Ed25519 seed (RFC 8410 §7); the 32 bytes of the seed follow.
const ED25519_PKCS8_PREFIX: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Makes an Ed25519 key and writes its seed.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::Random`].
pub fn write_seed(path: &Path) -> Result<SigningKey, CertsError> {
    let seed = Zeroizing::new(signing::random::<32>().map_err(|_| CertsError::Random)?);
    write_base64(path, seed.as_slice())?;
    SigningKey::from_seed(seed.as_slice()).map_err(|_| CertsError::Random)
}

/// Reads an Ed25519 key from its seed.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::TooOpen`], [`CertsError::Empty`].
pub fn read_signing_key(path: &Path) -> Result<SigningKey, CertsError> {
    SigningKey::from_seed(&read_base64(path)?)
        .map_err(|_| CertsError::Empty { path: path.to_owned(), what: "Ed25519 seed" })
}

fn write_base64(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    let text = Zeroizing::new(BASE64.encode(bytes) + "\n");
    pem::write_secret(path, text.as_bytes())
}

fn read_base64(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertsError> {
    let text = pem::read_secret(path)?;
    BASE64
        .decode(text.trim_ascii())
        .map(Zeroizing::new)
        .map_err(|_| CertsError::Empty { path: path.to_owned(), what: "base64 key" })
}
