//! The kernel's keyring (keyutils): memory of the kernel's, for this user alone, gone when the machine restarts.

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
use linux_keyutils_keyring_store::Store;
use zeroize::Zeroizing;

use crate::device::{SERVICE, SecretError, SecretStore};

/// The kernel's keyring: the user's persistent one, which the kernel clears some days after the last use and at a
/// restart. Calls are system calls and do not wait for anybody.
#[derive(Clone, Copy, Debug)]
pub struct KernelKeyring;

fn entry(name: &str) -> Result<Entry, SecretError> {
    Store::new().and_then(|store| store.build(SERVICE, name, None)).map_err(unavailable)
}

fn unavailable(error: Error) -> SecretError {
    SecretError::Unavailable(error.to_string())
}

impl SecretStore for KernelKeyring {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        match entry(name)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        entry(name)?.set_secret(secret).map_err(unavailable)
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn place(&self) -> String {
        "kernel's keyring, until the machine restarts".into()
    }
}
