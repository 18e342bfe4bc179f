//! "Keep me signed in": a session in the best credential store that this machine has, and nowhere else. Tried in
//! this order: the OS keyring, the kernel's keyring. Where neither keeps it, it is not kept, and the person is told.
//!
//! What must never: a password; a session in a file; a call of a store on the caller's thread, or without a limit
//! in time.

mod kept;
#[cfg(target_os = "linux")]
mod kernel;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strife_proto::signing::sha256;
use strife_seams::Work;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::device::{KEYRING_MS_MAX, Keyring, SecretError, SecretStore};
pub use kept::{Kept, Unusable};
#[cfg(target_os = "linux")]
pub use kernel::KernelKeyring;

/// What is said where no store keeps a session.
pub const NOWHERE: &str = "nowhere: you will be asked again";

/// How much longer than a store's own limit a call of it may take, in milliseconds.
const GRACE_MS: u64 = 500;

/// The stores that a session may be kept in, best first. The OS keyring is left out where it may not be used or has
/// been found not to answer.
pub fn session_stores(keyring: bool) -> Vec<Arc<dyn SecretStore>> {
    let mut stores: Vec<Arc<dyn SecretStore>> = Vec::new();
    if keyring {
        stores.push(Arc::new(Keyring));
    }
    #[cfg(target_os = "linux")]
    stores.push(Arc::new(KernelKeyring));
    stores
}

/// Where one client's session is kept: the stores, and the name it has there.
#[derive(Clone, Debug)]
pub struct Vault {
    stores: Vec<Arc<dyn SecretStore>>,
    name: String,
    work: Work,
    within: Duration,
}

/// What a look into the stores has found.
#[derive(Debug, Default)]
pub struct Found {
    /// In words: where the session is, or where one would be kept; `None` if no store answers.
    pub place: Option<String>,
    /// The session as it was kept.
    pub secret: Option<Zeroizing<Vec<u8>>>,
}

impl Vault {
    /// The vault of the client whose data folder this is, in a network. Another folder is another client.
    pub fn new(stores: Vec<Arc<dyn SecretStore>>, network: &str, data_dir: &Path, work: Work) -> Self {
        let folder = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        let digest = sha256(folder.as_os_str().as_encoded_bytes());
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            stores,
            name: format!("session.{network}.{short}"),
            work,
            within: Duration::from_millis(KEYRING_MS_MAX + GRACE_MS),
        }
    }

    /// The same, with less patience.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Looks for a kept session. The first store that answers is where the next one would be kept.
    pub async fn find(&self) -> Found {
        let mut found = Found::default();
        for store in &self.stores {
            let name = self.name.clone();
            let read = self.ask(store, move |store| store.get(&name), |_| ()).await;
            let Ok(secret) = read else { continue };
            if secret.is_some() {
                return Found { place: Some(words(store.as_ref())), secret };
            }
            found.place.get_or_insert_with(|| words(store.as_ref()));
        }
        found
    }

    /// Keeps a session in the first store that answers a read, takes it, and gives the same back; takes it out of
    /// the others. In words where, or `None` if it is kept nowhere.
    pub async fn keep(&self, secret: Zeroizing<Vec<u8>>) -> Option<String> {
        let secret = Arc::new(secret);
        let mut place = None;
        for store in &self.stores {
            let kept = match place {
                None => self.keep_in(store, &secret).await.is_ok(),
                Some(_) => false,
            };
            if kept {
                place = Some(words(store.as_ref()));
            } else {
                // what was kept there before, or what a store that failed has kept all the same
                self.remove_from(store).await;
            }
        }
        place
    }

    async fn keep_in(
        &self,
        store: &Arc<dyn SecretStore>,
        secret: &Arc<Zeroizing<Vec<u8>>>,
    ) -> Result<(), SecretError> {
        let (name, mine) = (self.name.clone(), secret.clone());
        let put = move |store: &dyn SecretStore| {
            // connecting proves nothing: a store that does not even read is not written to
            store.get(&name)?;
            store.put(&name, &mine)
        };
        self.ask(store, put, self.undo(secret)).await?;
        // read by another thread than the one that wrote: what a store keeps for one thread alone is not kept
        let (name, mine) = (self.name.clone(), secret.clone());
        let prove = move |store: &dyn SecretStore| match store.get(&name)? {
            Some(read) if read.as_slice() == mine.as_slice() => Ok(()),
            _ => Err(SecretError::Unavailable("it did not keep the session".into())),
        };
        self.ask(store, prove, self.undo(secret)).await
    }

    /// What is done with an answer for which nobody waits any more: the person has been told that nothing is kept.
    fn undo(&self, secret: &Arc<Zeroizing<Vec<u8>>>) -> impl FnOnce(&dyn SecretStore) + Send + use<> {
        let (name, mine) = (self.name.clone(), secret.clone());
        move |store: &dyn SecretStore| {
            if store.get(&name).is_ok_and(|read| read.is_some_and(|read| *read == **mine)) {
                // it has answered just now; if it does not any more, the session ends by itself
                let _ = store.remove(&name);
            }
        }
    }

    /// Takes the session out of every store. What a store does not let go is ended by the session's own time.
    pub async fn forget(&self) {
        for store in &self.stores {
            self.remove_from(store).await;
        }
    }

    async fn remove_from(&self, store: &Arc<dyn SecretStore>) {
        let name = self.name.clone();
        // a store that does not answer has most likely kept nothing either; whether there is something to resume
        // is decided by the profile too
        let _ = self.ask(store, move |store| store.remove(&name), |_| ()).await;
    }

    /// Calls a store on a thread of its own, and waits for it no longer than it may take. `undo` runs there after
    /// an answer for which nobody waits any more.
    async fn ask<T: Send + 'static>(
        &self,
        store: &Arc<dyn SecretStore>,
        call: impl FnOnce(&dyn SecretStore) -> Result<T, SecretError> + Send + 'static,
        undo: impl FnOnce(&dyn SecretStore) + Send + 'static,
    ) -> Result<T, SecretError> {
        if self.work == Work::InPlace {
            return call(store.as_ref());
        }
        let unavailable = |why: &str| SecretError::Unavailable(why.to_owned());
        let store = store.clone();
        let (sender, mut receiver) = oneshot::channel();
        std::thread::Builder::new()
            .name("credentials".into())
            .spawn(move || {
                if sender.send(call(store.as_ref())).is_err() {
                    undo(store.as_ref());
                }
            })
            .map_err(|error| unavailable(&error.to_string()))?;
        match tokio::time::timeout(self.within, &mut receiver).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(unavailable("its call broke off"))),
            Err(_) => {
                // from here on the thread knows that nobody waits; an answer of this very moment still counts
                receiver.close();
                receiver.try_recv().unwrap_or_else(|_| Err(unavailable("no answer in time")))
            }
        }
    }
}

fn words(store: &dyn SecretStore) -> String {
    format!("the {}", store.place())
}

#[cfg(test)]
mod tests;
