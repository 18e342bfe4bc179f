//! One slice of a run: a while of calls of one kind. Slices of different kinds take turns, since a machine that others
//! use too is not the same for long, and a ratio is of neighbours.

use std::time::Duration;

use crate::meter::Spent;
use crate::timed::{Timed, percentile};

/// What came of one slice.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// From the first call to the last answer.
    pub window: Duration,
    /// Each call, in microseconds, sorted.
    pub latencies_us: Vec<u64>,
    /// From the last answer until nothing was on its way any more.
    pub settle: Duration,
    /// What was used, the settling included.
    pub spent: Spent,
}

impl Slice {
    /// Of calls that leave nothing behind.
    pub(crate) fn of<T>(timed: Timed<T>) -> Self {
        Self { window: timed.window, latencies_us: timed.latencies_us, ..Self::default() }
    }

    /// Calls.
    pub(crate) fn calls(&self) -> u64 {
        self.latencies_us.len() as u64
    }

    /// Calls per second.
    pub(crate) fn per_second(&self) -> u64 {
        let micros = self.window.as_micros().max(1);
        u64::try_from(u128::from(self.calls()) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// So many of a hundred took no longer, in microseconds.
    pub(crate) fn percentile_us(&self, percent: usize) -> u64 {
        percentile(&self.latencies_us, percent)
    }

    /// CPU of everything but the driver for each call, in microseconds.
    pub(crate) fn servers_cpu_us(&self) -> u64 {
        self.spent.servers_cpu_us() / self.calls().max(1)
    }
}

/// The middle one; of an even number the lower of the two.
pub(crate) fn median<T: PartialOrd + Copy>(figures: impl IntoIterator<Item = T>) -> Option<T> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    figures.get(figures.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert_eq!(median([5, 1, 900]), Some(5));
        assert_eq!(median([4, 2]), Some(2));
        assert_eq!(median([0_u64; 0]), None);
    }

    #[test]
    fn a_slice_counts_by_its_own_window() {
        let window = Duration::from_millis(500);
        let slice = Slice { window, latencies_us: vec![10, 20, 30], ..Slice::default() };
        assert_eq!((slice.per_second(), slice.percentile_us(50), slice.percentile_us(100)), (6, 20, 30));
    }
}
