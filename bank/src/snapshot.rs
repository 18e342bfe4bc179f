//! Snapshots: the state at one batch boundary of the journal, so that a start need not read the journal from its
//! beginning. A snapshot is made from the journal alone, by replaying what came after the snapshot before it; the
//! running bank's memory has no part in it, and the writer is never held up. It is synced, then renamed into place.
//!
//! What must never: believing a snapshot whose digest, schema, bank or place in the chain is wrong. Such a file is
//! set aside, and the one before it, or the whole journal, is read instead.

mod decode;
mod encode;
mod file;
pub mod keeper;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use encode::digest;
pub use keeper::Keeper;
use strife_seams::files as disk;

use crate::journal::{Chain, JournalRead};
use crate::ledger::State;
use crate::ledger::state::Own;
use crate::witness::{Seen, Shortened};

/// The schema that this program reads and writes.
const SCHEMA_VERSION: u32 = 2;

/// Snapshots that are kept; the newest is read first.
const SNAPSHOTS_KEPT: usize = 2;

const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".bin";
const SET_ASIDE: &str = "refused";

/// One that is being written.
const TEMPORARY: &str = "snapshot.tmp";
/// Mode of a snapshot's file: it holds what people own.
const MODE: u32 = 0o600;

/// Why a snapshot is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Unbelieved {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Its digest is not that of its bytes, or a record in it is malformed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer program.
    #[error("it has schema {0}; this program knows {SCHEMA_VERSION}")]
    Schema(u32),
    /// Of another bank or network.
    #[error("it is of {0}")]
    Foreign(String),
    /// The journal's batch of its number has another hash.
    #[error("its batch {0} is not the journal's batch {0}")]
    OtherJournal(u64),
}

/// A snapshot that was read.
#[derive(Debug)]
pub struct Snapshot {
    /// The state, without people and sessions, which are rows beside the journal.
    pub state: State,
    /// Where the journal's chain stood.
    pub chain: Chain,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// Why the snapshots of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The folder.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The journal ends before a snapshot of it.
    #[error(transparent)]
    Shortened(#[from] Shortened),
}

/// The snapshots of a folder, the newest first.
///
/// # Errors
/// What the system says about the folder.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            found.push(dir.join(name));
        }
    }
    // the numbers have leading zeros
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Reads one snapshot and checks everything about it but its place in the journal.
///
/// # Errors
/// [`Unbelieved`].
pub fn read(path: &Path, own: &Own) -> Result<Snapshot, Unbelieved> {
    decode::decode(File::open(path)?, own)
}

/// The batch that a snapshot's head says it has seen; the digest over the file is not checked.
///
/// # Errors
/// [`Unbelieved`].
pub fn batch_of(path: &Path, own: &Own) -> Result<u64, Unbelieved> {
    decode::batch_of(File::open(path)?, own)
}

/// The newest snapshot that fits the journal. Those that do not are set aside, with a line in the log.
///
/// # Errors
/// [`SnapshotError`]; above all [`Shortened`], if a sound snapshot has seen more than the journal holds.
pub fn newest(dir: &Path, own: &Own, journal: &dyn JournalRead) -> Result<Option<Snapshot>, SnapshotError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| SnapshotError::Io { path, source }
    };
    for path in files(dir).map_err(at(dir))? {
        let believed = match read(&path, own) {
            Ok(snapshot) => {
                let seen = Seen { by: path.clone(), batch: snapshot.chain.number };
                seen.is_within(journal)?;
                let same = journal.hash_of(snapshot.chain.number)? == Some(snapshot.chain.hash);
                if same { Ok(snapshot) } else { Err(Unbelieved::OtherJournal(snapshot.chain.number)) }
            }
            Err(why) => Err(why),
        };
        match believed {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(why) => {
                let aside = path.with_extension(SET_ASIDE);
                tracing::error!(
                    target: "strife::daemon",
                    snapshot = %path.display(), %why, now = %aside.display(),
                    "a snapshot is not believed and is set aside"
                );
                disk::rename("snapshot_aside", &path, &aside).map_err(at(&path))?;
            }
        }
    }
    Ok(None)
}

/// Writes a snapshot, synced and renamed into place, and takes away those that are not needed any more. One that fails
/// leaves nothing behind.
///
/// # Errors
/// What the system says, with the file.
pub fn write(dir: &Path, state: &State, chain: &Chain) -> Result<PathBuf, SnapshotError> {
    let path = dir.join(format!("{PREFIX}{:020}{SUFFIX}", chain.number));
    let at = |source| SnapshotError::Io { path: path.clone(), source };
    disk::replace("snapshot", &dir.join(TEMPORARY), &path, MODE, |file| {
        let mut out = BufWriter::with_capacity(file::BUFFER_BYTES, file);
        encode::encode(state, chain, &mut out)?;
        out.flush()
    })
    .map_err(at)?;
    for old in files(dir).map_err(at)?.iter().skip(SNAPSHOTS_KEPT) {
        disk::remove("snapshot_removal", old).map_err(at)?;
    }
    Ok(path)
}

/// Takes away what a process left that ended while it wrote a snapshot.
///
/// # Errors
/// What the system says, with the file.
pub fn tidy(dir: &Path) -> Result<(), SnapshotError> {
    let path = dir.join(TEMPORARY);
    if path.is_file() {
        disk::remove("snapshot_left", &path).map_err(|source| SnapshotError::Io { path, source })?;
    }
    Ok(())
}
