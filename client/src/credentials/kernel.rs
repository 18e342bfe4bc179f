//! The kernel's keyring (keyutils): memory of the kernel's, for this user alone, gone when the machine restarts.

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

use crate::device::{SERVICE, SecretError, SecretStore};

/// The kernel's keyring: the user's persistent one, which the kernel clears some days after the last use and at a
/// restart. Calls are system calls and do not wait for anybody.
#[derive(Clone, Copy, Debug)]
pub struct KernelKeyring;

/// The user's persistent keyring, and nothing beside it. A session keyring is not asked: in a terminal multiplexer, a
/// container or a timer's job there is none that another process has too, and the kernel would make one that ends
/// with whoever asked.
///
/// Linking it to the calling thread's own keyring is what gives the thread the right to use what is in it; that link
/// goes when the thread ends.
fn ring() -> Result<KeyRing, SecretError> {
    KeyRing::get_persistent(KeyRingIdentifier::Thread).map_err(unavailable)
}

fn description(name: &str) -> String {
    format!("keyring:{name}@{SERVICE}")
}

/// The key in the keyring; one that has been taken away or has run out is none.
fn find(ring: KeyRing, name: &str) -> Result<Option<Key>, SecretError> {
    match ring.search(&description(name)) {
        Ok(key) => Ok(Some(key)),
        Err(error) if is_gone(error) => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

fn is_gone(error: KeyError) -> bool {
    matches!(error, KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked)
}

fn unavailable(error: KeyError) -> SecretError {
    SecretError::Unavailable(error.to_string())
}

impl SecretStore for KernelKeyring {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let Some(key) = find(ring()?, name)? else { return Ok(None) };
        match key.read_to_vec() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(error) if is_gone(error) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        // a key of the same description in this keyring is changed in its place
        ring()?.add_key(&description(name), secret).map(drop).map_err(unavailable)
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        let ring = ring()?;
        let Some(key) = find(ring, name)? else { return Ok(()) };
        // invalid wherever else it is linked, and out of this keyring at once: the kernel collects it in its own time
        let invalidated = key.invalidate();
        match (ring.unlink_key(key), invalidated) {
            (_, Ok(())) | (Ok(()), _) => Ok(()),
            (Err(error), _) if is_gone(error) => Ok(()),
            (Err(error), _) => Err(unavailable(error)),
        }
    }

    fn place(&self) -> String {
        "kernel's keyring, until the machine restarts".into()
    }
}
