//! Passwords: argon2id (RFC 9106) on a bounded pool, with the same
//! answer and the same work for people who do not exist.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use strife_proto::Refusal;
use strife_seams::Work;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 5;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Checks that wait for their turn; more are told to come again.
const WAITING_MAX: usize = 64;

/// Checks and hashes passwords.
#[derive(Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    nobody: Arc<str>,
    places: Arc<Semaphore>,
    work: Work,
    cost: Cost,
}

/// What a new hash costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// The default of the argon2 crate, which follows OWASP: 19 MiB, two passes.
    #[default]
    Full,
    /// As little as there can be, for a simulator that logs in thousands of times.
    Simulated,
}

impl Cost {
    fn argon2(self) -> Result<Argon2<'static>, Refusal> {
        let params = match self {
            Cost::Full => Params::default(),
            Cost::Simulated => Params::new(8, 1, 1, None).map_err(|_| Refusal::Busy)?,
        };
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl Passwords {
    /// `checks_max` run at a time.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if the system gave no random salt.
    pub fn new(checks_max: usize, work: Work, cost: Cost) -> Result<Self, Refusal> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(checks_max)),
            nobody: Arc::from(hash_now("nobody has this password", cost)?),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            work,
            cost,
        })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Refusal::BadText`] for one that is too short or too long; [`Refusal::Busy`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Refusal> {
        if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
            return Err(Refusal::BadText);
        }
        let cost = self.cost;
        self.on_pool(move || hash_now(&password, cost)).await?
    }

    /// Whether a password fits a stored hash; `None` stands for a person who does not exist.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub async fn check(
        &self,
        password: Zeroizing<String>,
        stored: Option<Arc<str>>,
    ) -> Result<bool, Refusal> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let fits = self
            .on_pool(move || {
                let fits = Argon2::default().verify_password(password.as_bytes(), &*stored);
                password.len() <= PASSWORD_BYTES_MAX && fits.is_ok()
            })
            .await?;
        Ok(fits && exists)
    }

    async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Refusal::Busy)?;
        drop(place);
        let done = self.work.blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| Refusal::Busy)
    }
}

fn hash_now(password: &str, cost: Cost) -> Result<String, Refusal> {
    cost.argon2()?.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| Refusal::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_nobody_fits_none() {
        let passwords = Passwords::new(1, Work::Threads, Cost::Full).unwrap();
        let new = |text: &str| Zeroizing::new(text.to_owned());
        let stored: Arc<str> = Arc::from(passwords.hash(new("pass1")).await.unwrap());
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.check(new("pass1"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.check(new("pass2"), Some(stored)).await.unwrap());
        assert!(!passwords.check(new("nobody has this password"), None).await.unwrap());
        assert_eq!(passwords.hash(new("four")).await, Err(Refusal::BadText));
    }
}
