//! From a data folder to a bank's state: lock it, open the journal, bring the projections up to date, replay.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use strife_faults::{Bug, planted};
use strife_proto::domain::LoginName;

use crate::journal::reader::{JournalRead, ReadError, entries_of};
use crate::journal::store::OpenError;
use crate::journal::{Chain, OpenStore, Store};
use crate::ledger::state::{Own, Session};
use crate::ledger::{ApplyError, Kind, Overlay, State, apply};
use crate::projection::{ProjectionError, Projector};
use crate::writer::person_of;

/// How long a start waits for another process to let the folder go, in milliseconds.
const LOCK_MS_MAX: u64 = 8_000;

/// Batches read at a time.
const BATCHES_PER_READ: usize = 512;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made, or its lock cannot be opened.
    #[error("{path}: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal's file failed.
    #[error("the journal cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The projections cannot be kept.
    #[error(transparent)]
    Projections(#[from] ProjectionError),
    /// An entry does not fit.
    #[error("entry {position} of the journal does not fit: {source}")]
    Entry {
        /// Its position.
        position: u64,
        /// Why.
        source: ApplyError,
    },
    /// A person's row is malformed.
    #[error("a person's row is malformed")]
    Person,
}

/// A bank's data folder, locked and replayed.
#[derive(Debug)]
pub struct Folder {
    /// The journal.
    pub store: Box<dyn Store>,
    /// Where its chain stands.
    pub chain: Chain,
    /// What it says.
    pub state: State,
    /// The projections, up to date.
    pub projector: Projector,
    /// Held as long as the bank runs.
    pub lock: File,
}

impl Folder {
    /// Opens a data folder, making it if it is not there.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(dir: &Path, stores: &dyn OpenStore, own: Own, now_ms: i64) -> Result<Self, FolderError> {
        let at = |source| FolderError::Folder { path: dir.to_owned(), source };
        strife_certs::pem::make_private_dir(dir)
            .map_err(|_| at(std::io::Error::other("the folder cannot be made")))?;
        let lock = File::create(dir.join("lock")).map_err(at)?;
        take(&lock).map_err(|_| FolderError::InUse(dir.to_owned()))?;
        let mut store = stores.open(dir, &own)?;
        let mut projector = Projector::open(dir, stores, &own.network)?;
        projector.catch_up()?;
        let mut state = State::new(own);
        load_rows(store.as_mut(), &mut state, now_ms)?;
        let chain = replay(stores.reader(dir)?.as_ref(), &mut state)?;
        Ok(Self { store, chain, state, projector, lock })
    }
}

/// Takes the lock, waiting a little for a process that is stopping.
fn take(lock: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + Duration::from_millis(LOCK_MS_MAX);
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

fn load_rows(store: &mut dyn Store, state: &mut State, now_ms: i64) -> Result<(), FolderError> {
    for row in store.people()? {
        let login: LoginName = row.login.parse().map_err(|_| FolderError::Person)?;
        let person = person_of(&row).ok_or(FolderError::Person)?;
        state.logins.insert(login, row.id);
        state.people.insert(row.id, person);
    }
    store.forget_sessions(now_ms)?;
    for (id, person, expires_at_ms) in store.sessions()? {
        state.sessions.insert(id, Session { person, expires_at_ms });
    }
    Ok(())
}

/// Applies the whole journal to a state, checking the chain, and takes out of memory what is decided and
/// acknowledged: the projections, which are up to date, hold it.
///
/// # Errors
/// [`FolderError`].
pub fn replay(reader: &dyn JournalRead, state: &mut State) -> Result<Chain, FolderError> {
    let mut chain = Chain::default();
    loop {
        let batches = reader.batches_after(chain.number, BATCHES_PER_READ)?;
        if batches.is_empty() {
            break;
        }
        for batch in &batches {
            chain.advance(batch).map_err(ReadError::from)?;
            let entries = entries_of(batch)?;
            let mut overlay = Overlay::over(state);
            for entry in &entries {
                let position = overlay.next_position;
                apply(&mut overlay, entry).map_err(|source| FolderError::Entry { position, source })?;
            }
            let changes = overlay.into_changes();
            state.merge(changes);
            for entry in &entries {
                if let Kind::Posted { order, .. } | Kind::Released { order, .. } = &entry.kind {
                    state.payees.remove(&(order.key().clone(), order.hash()));
                }
            }
        }
        state.payers.retain(|_, known| known.payer.is_owed());
        state.voids.clear();
    }
    if planted(Bug::PromiseForgotten) {
        state.promises.clear();
        state.promise_counts.clear();
    }
    Ok(chain)
}
