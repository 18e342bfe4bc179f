//! Who else has seen the journal: its mark, its projections, its snapshots. SQLite leaves out, without a word, the end
//! of a write-ahead log whose checksums are wrong. So each of these remembers how far the journal once went; where it
//! now ends before that, acknowledged entries are gone, and a start is refused.
//!
//! What must never: a journal that was silently shortened and goes on.

use std::path::{Path, PathBuf};

use crate::journal::mark::Mark;
use crate::journal::{JournalRead, mark};
use crate::projection;

/// How far somebody has seen the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The file that says so.
    pub by: PathBuf,
    /// The last batch that it has seen.
    pub batch: u64,
}

/// The journal is not the one that was acknowledged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Shortened {
    /// It ends before what was seen of it.
    #[error(
        "the journal ends at batch {end}, but {} has seen batch {}: what was acknowledged after batch {end} is \
         missing. Keep every file of the folder as it is, and restore the journal (docs/operations.md, \"A \
         shortened journal\")", seen.by.display(), seen.batch
    )]
    Ends {
        /// The journal's last batch.
        end: u64,
        /// What was seen.
        seen: Seen,
    },
    /// A batch of it is another than the one that was seen.
    #[error(
        "batch {} of the journal is not the one that {} has seen: the journal was exchanged or rewritten. Keep \
         every file of the folder as it is, and restore the journal (docs/operations.md, \"A shortened journal\")",
        .0.batch, .0.by.display()
    )]
    Other(Seen),
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The journal is not what was acknowledged.
    #[error(transparent)]
    Shortened(#[from] Shortened),
    /// The journal cannot be read.
    #[error(
        "journal.db cannot be read: {0}. Keep every file of the folder as it is, and restore the journal \
         (docs/operations.md, \"A shortened journal\")"
    )]
    Sqlite(#[from] rusqlite::Error),
}

impl From<WitnessError> for crate::snapshot::SnapshotError {
    fn from(error: WitnessError) -> Self {
        match error {
            WitnessError::Shortened(shortened) => shortened.into(),
            WitnessError::Sqlite(error) => error.into(),
        }
    }
}

impl Seen {
    /// Checks that the journal reaches as far as was seen.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn is_within(self, journal: &dyn JournalRead) -> Result<(), WitnessError> {
        if self.batch == 0 || journal.hash_of(self.batch)?.is_some() {
            return Ok(());
        }
        Err(Shortened::Ends { end: journal.last_number()?, seen: self }.into())
    }
}

/// Checks the journal of a folder against its mark and its projections. Snapshots are checked where they are read.
/// Projections that have seen *another* batch are no reason to refuse: they are made anew. The mark is, since it
/// carries a digest of its own.
///
/// # Errors
/// [`WitnessError`].
pub fn check(dir: &Path, journal: &dyn JournalRead) -> Result<(), WitnessError> {
    if let Some((batch, _)) = projection::seen(dir) {
        Seen { by: dir.join(projection::FILE), batch }.is_within(journal)?;
    }
    if let Some(Mark { number, hash }) = Mark::read(dir) {
        let seen = Seen { by: dir.join(mark::FILE), batch: number };
        seen.clone().is_within(journal)?;
        if number > 0 && journal.hash_of(number)? != Some(hash) {
            return Err(Shortened::Other(seen).into());
        }
    }
    Ok(())
}
