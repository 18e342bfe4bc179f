//! A bank's disk that can lose power: what is durable, and what was written and not yet synced.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::ffi;
use strife_bank::journal::{
    AppendError, Batch, Checkpointer, Durability, JournalRead, OpenError, OpenStore, PersonRow, Row, Store,
};
use strife_bank::ledger::state::{Own, PersonId, SessionId};
use strife_proto::signing::sha256;

/// What stands on the disk.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Batches that are durable.
    pub batches: Vec<Batch>,
    /// People.
    pub people: Vec<PersonRow>,
    /// Sessions, with whose they are and when they end.
    pub sessions: BTreeMap<SessionId, (PersonId, i64)>,
}

impl Image {
    fn keep(&mut self, batch: &Batch, rows: &[Row]) {
        if batch.count > 0 {
            self.batches.push(batch.clone());
        }
        for row in rows {
            match row {
                Row::Person(person) => self.people.push(person.clone()),
                Row::Session { id, person, expires_at_ms } => {
                    self.sessions.insert(*id, (*person, *expires_at_ms));
                }
                Row::SessionEnded(id) => {
                    self.sessions.remove(id);
                }
            }
        }
    }
}

/// What is wrong with a disk at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// There is no room.
    pub full: bool,
    /// How much longer each sync takes, in milliseconds.
    pub slow_ms: u64,
    /// The next sync fails.
    pub sync_fails: bool,
}

#[derive(Debug, Default)]
struct Inside {
    durable: Image,
    /// Written and not yet synced: a loss of power keeps it or not.
    volatile: Option<(Batch, Vec<Row>)>,
    trouble: Trouble,
    /// A sync has failed. The process has to end without another answer; the simulation ends it here, before its
    /// connections can tell in an order that no seed decides.
    failed: bool,
    /// Whether the next loss of power keeps what was not synced.
    keeps_unsynced: bool,
    syncs: u64,
    /// Whether this trouble has met a write, and how many have.
    met: bool,
    troubles_met: usize,
}

/// One bank's disk. Clones are the same disk; it outlives the bank's process.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Inside>>);

impl Disk {
    /// A disk that already holds something.
    pub fn holding(image: Image) -> Self {
        Self(Arc::new(Mutex::new(Inside { durable: image, ..Inside::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wrong with it.
    pub fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        let mut inside = self.lock();
        let before = inside.trouble;
        change(&mut inside.trouble);
        if inside.trouble != before {
            inside.met = false;
        }
    }

    /// The power goes: what was written and not synced is there afterwards, or not.
    pub fn lose_power(&self, keeps_unsynced: bool) {
        self.lock().keeps_unsynced = keeps_unsynced;
    }

    /// Whether this sync fails, or an earlier one did.
    fn fails(&self) -> bool {
        let mut inside = self.lock();
        inside.failed |= std::mem::take(&mut inside.trouble.sync_fails);
        inside.failed
    }

    /// Whether a sync has failed since this was asked last.
    pub fn has_failed(&self) -> bool {
        std::mem::take(&mut self.lock().failed)
    }

    /// What is durable now.
    pub fn image(&self) -> Image {
        self.lock().durable.clone()
    }

    /// How many troubles met a write.
    pub fn troubles_met(&self) -> usize {
        self.lock().troubles_met
    }

    /// How often it was synced.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }
}

impl OpenStore for Disk {
    fn open(&self, _: &Path, _: &Own) -> Result<Box<dyn Store>, OpenError> {
        let mut inside = self.lock();
        if let Some((batch, rows)) = inside.volatile.take().filter(|_| inside.keeps_unsynced) {
            // it had reached the disk, and start-up syncs before anything is read
            inside.durable.keep(&batch, &rows);
        }
        Ok(Box::new(self.clone()))
    }

    fn reader(&self, _: &Path) -> rusqlite::Result<Box<dyn JournalRead>> {
        Ok(Box::new(self.clone()))
    }

    fn checkpointer(&self, _: &Path) -> rusqlite::Result<Option<Checkpointer>> {
        Ok(None)
    }
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("simulated".into()))
}

#[tonic::async_trait]
impl Store for Disk {
    async fn write(&mut self, batch: &Batch, rows: &[Row]) -> Result<(), AppendError> {
        let wait_ms = {
            let mut inside = self.lock();
            if inside.trouble != Trouble::default() && !std::mem::replace(&mut inside.met, true) {
                inside.troubles_met += 1;
            }
            if inside.trouble.full {
                return Err(AppendError::Full(failure(ffi::SQLITE_FULL)));
            }
            inside.volatile = Some((batch.clone(), rows.to_vec()));
            inside.trouble.slow_ms
        };
        tokio::time::sleep(Duration::from_millis(1 + wait_ms)).await;
        if self.fails() {
            return std::future::pending().await;
        }
        {
            let mut inside = self.lock();
            if let Some((batch, rows)) = inside.volatile.take() {
                inside.durable.keep(&batch, &rows);
            }
            inside.syncs += 1;
        }
        // durable, and nobody is told yet
        tokio::time::sleep(Duration::from_millis(wait_ms / 4)).await;
        Ok(())
    }

    fn durability(&self) -> rusqlite::Result<Option<Durability>> {
        Ok(None)
    }

    fn digest(&self, row: &PersonRow) -> Bytes {
        Bytes::copy_from_slice(&sha256(format!("{row:?}").as_bytes()))
    }

    fn sessions(&self) -> rusqlite::Result<Vec<(SessionId, PersonId, i64)>> {
        let sessions = self.lock().durable.sessions.clone();
        Ok(sessions.into_iter().map(|(id, (person, ends))| (id, person, ends)).collect())
    }

    fn forget_sessions(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        self.lock().durable.sessions.retain(|_, (_, ends)| *ends > now_ms);
        Ok(())
    }
}

impl JournalRead for Disk {
    fn batches_after(&self, number: u64, count_max: usize) -> rusqlite::Result<Vec<Batch>> {
        let inside = self.lock();
        // batches are numbered from 1 without a gap
        let from = usize::try_from(number).unwrap_or(usize::MAX).min(inside.durable.batches.len());
        Ok(inside.durable.batches[from..].iter().take(count_max).cloned().collect())
    }

    fn hash_of(&self, number: u64) -> rusqlite::Result<Option<[u8; 32]>> {
        let inside = self.lock();
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        Ok(index.and_then(|index| inside.durable.batches.get(index)).map(|batch| batch.hash))
    }

    fn person(&self, login: &str) -> rusqlite::Result<Option<PersonRow>> {
        Ok(self.lock().durable.people.iter().find(|row| row.login == login).cloned())
    }

    fn each_person(&self, each: &mut dyn FnMut(PersonId, &str)) -> rusqlite::Result<()> {
        self.lock().durable.people.iter().for_each(|row| each(row.id, &row.login));
        Ok(())
    }
}
