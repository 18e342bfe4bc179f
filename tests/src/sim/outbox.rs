//! An outbox that can lose power, and whose every change the auditor sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strife_client::TransferId;
use strife_client::outbox::{OutboxError, OutboxStore, State, Stored};

use crate::auditor::{Ended, Nature};
use crate::record::Recorder;

/// The disk under an outbox. Clones are the same disk; it outlives the client's process.
#[derive(Clone, Debug)]
pub struct OutboxDisk {
    orders: Arc<Mutex<BTreeMap<TransferId, Stored>>>,
    sync_ms: u64,
}

impl OutboxDisk {
    /// An empty disk on which each sync takes so long, in milliseconds.
    pub fn new(sync_ms: u64) -> Self {
        Self { orders: Arc::default(), sync_ms }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TransferId, Stored>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is durable.
    pub fn orders(&self) -> BTreeMap<TransferId, Stored> {
        self.lock().clone()
    }
}

/// An outbox over such a disk.
#[derive(Debug)]
pub struct SimOutbox {
    disk: OutboxDisk,
    orders: BTreeMap<TransferId, Stored>,
    recorder: Recorder,
}

impl SimOutbox {
    /// Opens it: what is durable is there.
    pub fn open(disk: &OutboxDisk, recorder: Recorder) -> Self {
        Self { disk: disk.clone(), orders: disk.orders(), recorder }
    }
}

#[tonic::async_trait]
impl OutboxStore for SimOutbox {
    async fn write(&mut self, id: TransferId, stored: Option<&Stored>) -> Result<(), OutboxError> {
        // a sync takes its time, and the power may go in it
        tokio::time::sleep(Duration::from_millis(self.disk.sync_ms)).await;
        let Some(stored) = stored else {
            self.disk.lock().remove(&id);
            self.orders.remove(&id);
            return Ok(());
        };
        self.disk.lock().insert(id, stored.clone());
        self.orders.insert(id, stored.clone());
        let Ok(order) = stored.order() else { return Ok(()) };
        if stored.sent {
            self.recorder.asks(&order, Nature::default());
        }
        if stored.cancelling {
            self.recorder.asks_cancel(&order, Nature::default());
        }
        let (ended, credit) = match &stored.state {
            State::Posted { credit } => (Ended::Posted, *credit),
            State::Declined(_) => match stored.declined() {
                Some(code) => (Ended::Declined(code), Default::default()),
                None => return Ok(()),
            },
            State::Conflict => (Ended::Conflict, Default::default()),
            State::Void => (Ended::Void, Default::default()),
            State::Open | State::Withdrawn | State::Parked(_) => return Ok(()),
        };
        self.recorder.hears_end(&order, ended, credit);
        Ok(())
    }

    fn all(&self) -> &BTreeMap<TransferId, Stored> {
        &self.orders
    }

    fn take_trouble(&mut self) -> Option<String> {
        None
    }
}
