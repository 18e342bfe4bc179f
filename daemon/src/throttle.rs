//! Throttling by name: so many tries in a minute, counted before they are made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use strife_proto::Refusal;

/// The window in which tries are counted, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// Names that are remembered; beyond that those whose window is over go, then all.
const REMEMBERED_MAX: usize = 100_000;

/// Counts tries by name.
#[derive(Debug)]
pub struct Throttle {
    tries: Mutex<HashMap<String, (i64, u32)>>,
    per_minute_max: u32,
}

impl Throttle {
    /// So many tries in a minute.
    pub fn new(per_minute_max: u32) -> Self {
        Self { tries: Mutex::default(), per_minute_max }
    }

    /// Counts a try, unless there were too many. Counted before it is made, so that tries at the same time
    /// count too.
    ///
    /// # Errors
    /// [`Refusal::Throttled`].
    pub fn admit(&self, name: &str, now_ms: i64) -> Result<(), Refusal> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= REMEMBERED_MAX && !tries.contains_key(name) {
            tries.retain(|_, (since, _)| now_ms - *since < WINDOW_MS);
            if tries.len() >= REMEMBERED_MAX {
                tries.clear();
            }
        }
        let entry = tries.entry(name.to_owned()).or_insert((now_ms, 0));
        if now_ms - entry.0 >= WINDOW_MS {
            *entry = (now_ms, 0);
        }
        if entry.1 >= self.per_minute_max {
            return Err(Refusal::Throttled);
        }
        entry.1 += 1;
        Ok(())
    }

    /// Takes a try back: it was an honest one.
    pub fn forgive(&self, name: &str) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = tries.get_mut(name) {
            entry.1 = entry.1.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_stopped_for_a_minute_and_for_that_name_alone() {
        let throttle = Throttle::new(3);
        for _ in 0..3 {
            throttle.admit("ann", 0).unwrap();
        }
        assert_eq!(throttle.admit("ann", 59_999), Err(Refusal::Throttled));
        assert_eq!(throttle.admit("bob", 59_999), Ok(()));
        assert_eq!(throttle.admit("ann", 60_000), Ok(()));
        for _ in 0..10 {
            throttle.admit("cleo", 0).unwrap();
            throttle.forgive("cleo");
        }
    }
}
