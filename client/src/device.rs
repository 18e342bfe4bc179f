//! The device key: one for each person and bank, behind a small seam. The OS keyring keeps it where one
//! answers; otherwise a file with mode 0600, which the screen names.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use strife_certs::pem;
use strife_proto::commit::BankName;
use strife_proto::signing::{self, SigningKey};
use zeroize::Zeroizing;

/// How long a keyring may take to answer, in milliseconds; a locked one waits for its owner.
pub(crate) const KEYRING_MS_MAX: u64 = 3_000;

/// What a keyring files our secrets under.
pub(crate) const SERVICE: &str = "strife";

/// Why a secret cannot be kept or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The store does not answer.
    #[error("the keyring does not answer: {0}")]
    Unavailable(String),
    /// The file cannot be used.
    #[error("{0}")]
    File(String),
    /// What was kept is no key.
    #[error("what is kept as the device key is not one")]
    Malformed,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// Where secrets are kept.
pub trait SecretStore: Send + Sync + std::fmt::Debug {
    /// What was kept under a name.
    ///
    /// # Errors
    /// [`SecretError`] if the store cannot say; `Ok(None)` if there is none.
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError>;

    /// Keeps a secret, and has read it back.
    ///
    /// # Errors
    /// [`SecretError`].
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError>;

    /// Takes a secret away; one that is not there is no error.
    ///
    /// # Errors
    /// [`SecretError`]: it may still be there.
    fn remove(&self, name: &str) -> Result<(), SecretError>;

    /// For the screen: where it is kept.
    fn place(&self) -> String;
}

/// The OS keyring (Secret Service). Each use is bounded in time, on a thread of its own.
#[derive(Clone, Copy, Debug)]
pub struct Keyring;

impl Keyring {
    /// The keyring, if it answers a read.
    pub fn probe() -> Option<Self> {
        Keyring.get("probe").ok().map(|_| Keyring)
    }
}

fn bounded<T: Send + 'static>(
    work: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<Option<T>, SecretError> {
    let (sender, receiver) = mpsc::channel();
    // a keyring that never answers keeps its thread; the process does not wait for it
    std::thread::spawn(move || drop(sender.send(work())));
    match receiver.recv_timeout(Duration::from_millis(KEYRING_MS_MAX)) {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(keyring::Error::NoEntry)) => Ok(None),
        Ok(Err(error)) => Err(SecretError::Unavailable(error.to_string())),
        Err(_) => Err(SecretError::Unavailable("no answer in time".into())),
    }
}

impl SecretStore for Keyring {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let name = name.to_owned();
        let secret = bounded(move || keyring::Entry::new(SERVICE, &name)?.get_secret())?;
        Ok(secret.map(Zeroizing::new))
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        let (owned, kept) = (name.to_owned(), Zeroizing::new(secret.to_vec()));
        bounded(move || keyring::Entry::new(SERVICE, &owned)?.set_secret(&kept))?;
        match self.get(name)? {
            Some(read) if read.as_slice() == secret => Ok(()),
            _ => Err(SecretError::Unavailable("it did not keep the secret".into())),
        }
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        let name = name.to_owned();
        bounded(move || keyring::Entry::new(SERVICE, &name)?.delete_credential()).map(|_| ())
    }

    fn place(&self) -> String {
        "OS keyring".into()
    }
}

/// Files with mode 0600 in a folder with mode 0700.
#[derive(Clone, Debug)]
pub struct KeyFiles(PathBuf);

impl KeyFiles {
    /// Files in this folder.
    pub fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }
}

impl SecretStore for KeyFiles {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let path = self.0.join(name);
        if !path.exists() {
            return Ok(None);
        }
        pem::read_secret(&path).map(Some).map_err(|error| SecretError::File(error.to_string()))
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        let file = |error: strife_certs::CertsError| SecretError::File(error.to_string());
        pem::make_private_dir(&self.0).map_err(file)?;
        pem::write_secret(&self.0.join(name), secret).map_err(file)
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        let path = self.0.join(name);
        let removed = strife_seams::files::remove("secret_removed", &path);
        removed.map_err(|error| SecretError::File(format!("{}: {error}", path.display())))
    }

    fn place(&self) -> String {
        format!("file in {}", self.0.display())
    }
}

/// The best store there is for a device key: the keyring if it may be used and answers, otherwise files in `dir`.
/// Never the kernel's keyring: a device key has to survive a restart of the machine.
/// Beside it, whether the keyring answers.
pub fn best_store(dir: &Path, keyring: bool) -> (Arc<dyn SecretStore>, bool) {
    match keyring.then(Keyring::probe).flatten() {
        Some(keyring) => (Arc::new(keyring), true),
        None => (Arc::new(KeyFiles::new(dir)), false),
    }
}

/// The device key of a person at a bank, if there is one.
///
/// # Errors
/// [`SecretError`].
pub fn load_device_key(
    store: &dyn SecretStore,
    network: &str,
    bank: &BankName,
    person: &str,
) -> Result<Option<SigningKey>, SecretError> {
    match store.get(&name_of(network, bank, person))? {
        Some(seed) => SigningKey::from_seed(&seed).map(Some).map_err(|_| SecretError::Malformed),
        None => Ok(None),
    }
}

/// The device key of a person at a bank, made if there is none.
///
/// # Errors
/// [`SecretError`].
pub fn device_key(
    store: &dyn SecretStore,
    network: &str,
    bank: &BankName,
    person: &str,
) -> Result<SigningKey, SecretError> {
    if let Some(key) = load_device_key(store, network, bank, person)? {
        return Ok(key);
    }
    let seed = Zeroizing::new(signing::random::<32>().map_err(|_| SecretError::Random)?);
    store.put(&name_of(network, bank, person), seed.as_slice())?;
    SigningKey::from_seed(seed.as_slice()).map_err(|_| SecretError::Malformed)
}

fn name_of(network: &str, bank: &BankName, person: &str) -> String {
    format!("device.{network}.{bank}.{person}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_device_key_is_made_once_and_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyFiles::new(&dir.path().join("keys"));
        let bank = BankName::new("Bank1").unwrap();
        assert!(load_device_key(&store, "demo", &bank, "ann").unwrap().is_none());
        let key = device_key(&store, "demo", &bank, "ann").unwrap();
        assert_eq!(device_key(&store, "demo", &bank, "ann").unwrap().public(), key.public());
        assert_ne!(device_key(&store, "demo", &bank, "bob").unwrap().public(), key.public());
        let path = dir.path().join("keys/device.demo.Bank1.ann");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(device_key(&store, "demo", &bank, "ann"), Err(SecretError::File(_))));
    }
}
