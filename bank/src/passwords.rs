//! Passwords: argon2id (RFC 9106) on a bounded pool, throttled by person and by client key, with the same
//! answer and the same work for people who do not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use strife_proto::Refusal;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 5;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// The window in which failures are counted, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// People and client keys whose failures are remembered; beyond that the oldest windows go first.
const REMEMBERED_MAX: usize = 100_000;

/// Checks and hashes passwords.
#[derive(Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    nobody: Arc<str>,
    failures: Mutex<HashMap<String, (i64, u32)>>,
    failures_max: u32,
}

impl Passwords {
    /// `checks_max` run at a time; `failures_max` for one name in a minute before more are refused unread.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if the system gave no random salt.
    pub fn new(checks_max: usize, failures_max: u32) -> Result<Self, Refusal> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(checks_max)),
            nobody: Arc::from(hash_now("nobody has this password")?),
            failures: Mutex::new(HashMap::new()),
            failures_max,
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
        self.on_pool(move || hash_now(&password)).await?
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
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Refusal::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| Refusal::Busy)
    }

    /// Whether another try is read at all.
    ///
    /// # Errors
    /// [`Refusal::Throttled`].
    pub fn admit(&self, name: &str, now_ms: i64) -> Result<(), Refusal> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(name) {
            Some((since, count)) if now_ms - since < WINDOW_MS && *count >= self.failures_max => {
                Err(Refusal::Throttled)
            }
            _ => Ok(()),
        }
    }

    /// Remembers a failure.
    pub fn failed(&self, name: &str, now_ms: i64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED_MAX {
            failures.retain(|_, (since, _)| now_ms - *since < WINDOW_MS);
        }
        if failures.len() >= REMEMBERED_MAX {
            failures.clear();
        }
        let entry = failures.entry(name.to_owned()).or_insert((now_ms, 0));
        if now_ms - entry.0 >= WINDOW_MS {
            *entry = (now_ms, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

fn hash_now(password: &str) -> Result<String, Refusal> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| Refusal::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_nobody_fits_none() {
        let passwords = Passwords::new(1, 3).unwrap();
        let new = |text: &str| Zeroizing::new(text.to_owned());
        let stored: Arc<str> = Arc::from(passwords.hash(new("pass1")).await.unwrap());
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.check(new("pass1"), Some(stored.clone())).await.unwrap());
        assert!(!passwords.check(new("pass2"), Some(stored)).await.unwrap());
        assert!(!passwords.check(new("nobody has this password"), None).await.unwrap());
        assert_eq!(passwords.hash(new("four")).await, Err(Refusal::BadText));
    }

    #[test]
    fn guessing_is_stopped_for_a_minute_and_for_that_name_alone() {
        let passwords = Passwords::new(1, 3).unwrap();
        for _ in 0..3 {
            passwords.admit("ann", 0).unwrap();
            passwords.failed("ann", 0);
        }
        assert_eq!(passwords.admit("ann", 59_999), Err(Refusal::Throttled));
        assert_eq!(passwords.admit("bob", 59_999), Ok(()));
        assert_eq!(passwords.admit("ann", 60_000), Ok(()));
    }
}
