//! Who else has seen the journal: its mark, its projections, its snapshots. SQLite leaves out, without a word, the end
//! of a write-ahead log whose checksums are wrong. So each of these remembers how far the journal once went; where it
//! now ends before that, acknowledged entries are gone, and a start is refused.
//!
//! What must never: a journal that was silently shortened and goes on.

use std::path::{Path, PathBuf};

use crate::journal::mark::Mark;
use crate::journal::{JournalRead, mark};
use crate::ledger::state::Own;
use crate::{projection, snapshot};

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
    /// The folder cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be read.
    #[error(
        "journal.db cannot be read: {0}. Keep every file of the folder as it is, and restore the journal \
         (docs/operations.md, \"A shortened journal\")"
    )]
    Sqlite(#[from] rusqlite::Error),
}

impl From<WitnessError> for snapshot::SnapshotError {
    fn from(error: WitnessError) -> Self {
        match error {
            WitnessError::Shortened(shortened) => shortened.into(),
            WitnessError::Folder { path, source } => Self::Io { path, source },
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

/// Checks the journal of a folder against its mark, its projections and its snapshots. Projections and snapshots that
/// have seen *another* batch are no reason to refuse: they are not believed, and made anew. The mark is: it carries a
/// digest of its own, and nothing else could have written it.
///
/// # Errors
/// [`WitnessError`].
pub fn check(dir: &Path, own: &Own, journal: &dyn JournalRead) -> Result<(), WitnessError> {
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
    let folder = |source| WitnessError::Folder { path: dir.to_owned(), source };
    for path in snapshot::files(dir).map_err(folder)? {
        // its head alone is enough where the journal reaches as far; a damaged one is no witness
        let Ok(batch) = snapshot::batch_of(&path, own) else { continue };
        let seen = Seen { by: path.clone(), batch };
        let within = seen.is_within(journal);
        let ends_before = matches!(within, Err(WitnessError::Shortened(_)));
        if !ends_before || snapshot::read(&path, own).is_ok() {
            within?;
        }
    }
    Ok(())
}
