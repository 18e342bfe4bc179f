//! What a process takes from outside, so that a simulator can put its own in: time, randomness, the network,
//! and where long work is done. The programs take the machine's ([`Seams::of_this_machine`]); nothing else
//! differs between a daemon in production and one in the simulator but its store.

pub mod files;
mod network;
mod work;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
pub use network::{BoxedIo, Dial, Io, Keepalive, Listen, Tcp, TcpPort};
pub use work::{Work, Worker};

/// A clock.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        // before 1970 only on a machine without a clock; then all orders are young and no session lasts
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// A source of bytes that nobody can guess: ids of transfers and sessions, jitter.
pub trait Random: Send + Sync + Debug {
    /// Fills a buffer.
    ///
    /// # Errors
    /// [`NoRandomness`].
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Random for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        SystemRandom::new().fill(bytes).map_err(|_| NoRandomness)
    }
}

/// Everything that a process takes from outside, but its store and its listeners.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Connections to others.
    pub dial: Arc<dyn Dial>,
    /// Where long work is done.
    pub work: Work,
}

impl Seams {
    /// The machine's own.
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandomness),
            dial: Arc::new(Tcp),
            work: Work::Threads,
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// So many random bytes.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id: 16 bytes of a UUID of version 7 (RFC 9562), so that ids sort by the time of their making.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new_id(&self) -> Result<[u8; 16], NoRandomness> {
        let millis = u64::try_from(self.now_ms()).unwrap_or(0);
        let random = self.random()?;
        Ok(*uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_version_7_and_carries_the_clocks_time() {
        let seams = Seams::of_this_machine();
        let (before, id) = (seams.now_ms(), seams.new_id().unwrap());
        assert_eq!(id[6] >> 4, 7);
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&id[..6]);
        let millis = i64::from_be_bytes(millis);
        assert!((before..=seams.now_ms()).contains(&millis));
        assert_ne!(seams.new_id().unwrap(), id);
    }
}
