//! Timed calls: so many in flight for a while, and how long each took. It must never do anything between two calls of a
//! worker that a client would not do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// Between two calls that are made alone: what the first has left to be done is done before the second, and both floor
/// and work find a machine at rest.
pub(crate) const REST: Duration = Duration::from_millis(5);

/// What came of a while of calls.
pub(crate) struct Timed<T> {
    /// From the first call to the last answer.
    pub window: Duration,
    /// How long each call took, in microseconds, sorted.
    pub latencies_us: Vec<u64>,
    /// What each call came to, by its number: every number from 0 on, in any order.
    pub answers: Vec<(usize, T)>,
}

/// Keeps so many calls in flight until the window is over. A call is told its worker, of whose calls one runs at a time,
/// and its number, in the order in which calls begin. One in flight is one alone: it rests after each.
///
/// # Errors
/// The first that fails.
pub(crate) async fn in_flight<T, F>(
    calls: usize,
    window: Duration,
    call: impl Fn(usize, usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<Timed<T>>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send,
{
    let (call, next) = (Arc::new(call), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..calls {
        let (call, next) = (call.clone(), next.clone());
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                let answer = call(worker, number).await?;
                done.push((number, begun.elapsed(), answer));
                if calls == 1 {
                    tokio::time::sleep(REST).await;
                }
                if began.elapsed() >= window {
                    return anyhow::Ok(done);
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(worker) = workers.join_next().await {
        all.push(worker??);
    }
    let window = began.elapsed();
    let (mut latencies_us, mut answers) = (Vec::new(), Vec::new());
    for (number, took, answer) in all.into_iter().flatten() {
        latencies_us.push(micros(took));
        answers.push((number, answer));
    }
    latencies_us.sort_unstable();
    Ok(Timed { window, latencies_us, answers })
}

/// Whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// So many of a hundred are no more; 0 of none. The figures are sorted.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_figures() {
        let figures: Vec<u64> = (0..=100).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&figures, percent)), [0, 50, 99, 100]);
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (7, 0));
    }

    #[tokio::test]
    async fn so_many_calls_are_in_flight_and_each_number_is_called_once() {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let seen = (running.clone(), most.clone());
        let timed = in_flight(8, Duration::from_millis(20), move |_, number| {
            let (running, most) = seen.clone();
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(number)
            }
        })
        .await
        .unwrap();
        let mut numbers: Vec<_> = timed.answers.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..timed.latencies_us.len()).collect::<Vec<_>>());
        assert_eq!((most.load(Ordering::Relaxed), running.load(Ordering::Relaxed)), (8, 0));
    }
}
