//! From a data folder to a bank's state: lock it, check that the journal is whole, open it, bring the projections up
//! to date, read the newest snapshot, replay what came after it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use strife_faults::{Bug, planted};
use strife_seams::files;

use crate::journal::reader::{JournalRead, ReadError};
use crate::journal::store::OpenError;
use crate::journal::{Chain, OpenStore, Store};
use crate::ledger::overlay::Table;
use crate::ledger::state::{Own, Person, PersonId, Session};
use crate::ledger::{ApplyError, State};
use crate::projection::{ProjectionError, Projector};
use crate::replay::replay;
use crate::snapshot::{self, SnapshotError};
use crate::witness::{self, WitnessError};

/// How long a start waits for another process to let the folder go, in milliseconds.
const LOCK_MS_MAX: u64 = 8_000;

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
    /// The journal is not what was acknowledged.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The snapshots cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// A thread of the start panicked.
    #[error("a thread of the start panicked")]
    Panicked,
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
    /// The position that the newest snapshot reaches; 0 without one.
    pub snapshot_position: u64,
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
        let lock = files::open_to_overwrite(&dir.join("lock")).map_err(at)?;
        take(&lock).map_err(|_| FolderError::InUse(dir.to_owned()))?;
        // opening moves the write-ahead log into the file, and makes a journal where there is none: everybody who has
        // seen more is asked before, so that where a start is refused, every file stays as it was found
        if let Some(journal) = stores.before(dir).map_err(WitnessError::from)? {
            witness::check(dir, &own, journal.as_ref())?;
        }
        snapshot::tidy(dir)?;
        let mut store = stores.open(dir, &own)?;
        let journal = stores.reader(dir)?;
        witness::check(dir, &own, journal.as_ref())?;
        let mut projector = Projector::open(dir, stores, &own.network)?;
        projector.catch_up()?;
        let (snapshot, people) = std::thread::scope(|scope| {
            let rows = stores.reader(dir)?;
            let rows = std::thread::Builder::new()
                .name("people".into())
                .spawn_scoped(scope, move || people(rows.as_ref()))
                .map_err(FolderError::Thread)?;
            let snapshot = snapshot::newest(dir, &own, journal.as_ref())?;
            Ok::<_, FolderError>((snapshot, rows.join().map_err(|_| FolderError::Panicked)??))
        })?;
        let (mut state, chain) = match snapshot {
            Some(snapshot) => (snapshot.state, snapshot.chain),
            None => (State::new(own), Chain::default()),
        };
        let snapshot_position = chain.next_position - 1;
        state.people = people;
        state.own_accounts();
        load_sessions(store.as_mut(), &mut state, now_ms)?;
        let chain = replay(journal.as_ref(), &mut state, chain, u64::MAX)?;
        if planted(Bug::PromiseForgotten) {
            state.promises.clear();
            state.promise_counts.clear();
        }
        Ok(Self { store, chain, state, projector, snapshot_position, lock })
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

/// Who there is, read while the snapshot is.
fn people(rows: &dyn JournalRead) -> Result<Table<PersonId, Person>, FolderError> {
    let mut people = Table::new();
    rows.each_person(&mut |id, _| {
        people.insert(id, Person::default());
    })?;
    Ok(people)
}

fn load_sessions(store: &mut dyn Store, state: &mut State, now_ms: i64) -> Result<(), FolderError> {
    store.forget(now_ms)?;
    for (id, person, expires_at_ms) in store.sessions()? {
        state.sessions.insert(id, Session { person, expires_at_ms });
    }
    Ok(())
}
