//! Who waits for the projections. While nobody does, they take their time and write many entries at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// How long what is new may wait for more, while nobody asks for it: rows of one page are written together.
const LAG_MAX: Duration = Duration::from_secs(1);

/// Journal entries that are new at the most before they are projected, asked for or not.
pub const LAG_ENTRIES_MAX: u64 = 16_384;

/// The farthest journal position that somebody waits for.
#[derive(Debug, Default)]
pub struct Demand {
    position: AtomicU64,
    rises: Notify,
}

impl Demand {
    /// Somebody waits for a position.
    pub fn wants(&self, position: u64) {
        if self.position.fetch_max(position, Ordering::SeqCst) < position {
            self.rises.notify_one();
        }
    }

    /// Waits for more than what is new, until somebody asks for what is, it is much, or time is over. Tells whether the
    /// journal's writer has gone. For the one projector.
    pub(super) async fn is_left_alone(&self, projected: u64, written: &mut watch::Receiver<u64>) -> bool {
        self.is_left_alone_for(LAG_MAX, projected, written).await
    }

    async fn is_left_alone_for(
        &self,
        lag: Duration,
        projected: u64,
        written: &mut watch::Receiver<u64>,
    ) -> bool {
        let over = tokio::time::sleep(lag);
        tokio::pin!(over);
        while written.borrow_and_update().saturating_sub(projected) < LAG_ENTRIES_MAX {
            tokio::select! {
                biased;
                changed = written.changed() => if changed.is_err() { return true },
                () = self.is_past(projected) => return false,
                () = &mut over => return false,
            }
        }
        false
    }

    /// Waits until somebody wants more than what is projected.
    async fn is_past(&self, projected: u64) {
        while self.position.load(Ordering::SeqCst) <= projected {
            // one that came between is kept
            self.rises.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_new_waits_for_more_until_it_is_wanted_much_or_old() {
        let (for_ever, demand) = (Duration::from_secs(3_600), Demand::default());
        let (writer, mut written) = watch::channel(1);
        assert!(!demand.is_left_alone_for(Duration::from_millis(1), 0, &mut written).await, "it is old");
        demand.wants(1);
        assert!(!demand.is_left_alone_for(for_ever, 0, &mut written).await, "it is wanted");
        writer.send_replace(LAG_ENTRIES_MAX + 1);
        assert!(!demand.is_left_alone_for(for_ever, 1, &mut written).await, "it is much");
        drop(writer);
        let gone = demand.is_left_alone_for(for_ever, LAG_ENTRIES_MAX, &mut written).await;
        assert!(gone, "nobody writes any more");
    }

    #[tokio::test]
    async fn whoever_waits_is_heard_whether_before_or_after_it_is_asked() {
        let demand = std::sync::Arc::new(Demand::default());
        demand.wants(3);
        demand.is_past(2).await;
        let (waiting, begun) = (demand.clone(), std::sync::Arc::new(Notify::new()));
        let began = begun.clone();
        let waits = tokio::spawn(async move {
            began.notify_one();
            waiting.is_past(3).await;
        });
        begun.notified().await;
        demand.wants(2);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished(), "that is projected");
        demand.wants(4);
        waits.await.unwrap();
    }
}
