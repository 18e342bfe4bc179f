//! Verifies a bank's folder that no bank has open, or a copy of one: the chain from its beginning, every entry against
//! the rules, every projection and snapshot against the journal, people's rows against their digests in the chain.
//!
//! What must never: a change of anything in the folder, but for the index that SQLite keeps beside a write-ahead log.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;
use strife_proto::commit::BankName;

use super::keys::Keys;
use super::{projections, rows, walk};
use crate::journal::JournalReader;
use crate::journal::connection::open_still;
use crate::journal::store::{FILE, SCHEMA_VERSION};
use crate::ledger::state::Own;
use crate::{projection, witness};

/// Faults that are told one by one; of more, the number is.
const FAULTS_TOLD_MAX: usize = 1_000;

/// Why a folder cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum CannotVerify {
    /// A bank has it open.
    #[error(
        "{} is in use: its bank runs. Ask the bank itself (strife.v1.BankAdmin/Verify), stop it, or verify a copy",
        .0.display()
    )]
    Running(PathBuf),
    /// Something cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be read at all.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It is not a journal that this program knows.
    #[error("{path} is no journal of schema {SCHEMA_VERSION}: {what}", path = path.display())]
    NoJournal {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The journal's batch.
    pub batch: Option<u64>,
    /// The journal position of the entry.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(batch) = self.batch {
            write!(f, ", batch {batch}")?;
        }
        if let Some(position) = self.position {
            write!(f, ", entry {position}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Network and bank.
    pub whose: String,
    /// Batches read.
    pub batches: u64,
    /// Entries read.
    pub entries: u64,
    /// Chain hash after the last batch, in hexadecimal. Compare it with one that was noted elsewhere.
    pub chain: String,
    /// What is good to know and no fault.
    pub notes: Vec<String>,
    /// The first wrong entry of the journal.
    pub first_wrong: Option<Fault>,
    /// Everything that is wrong, in the order in which it was found.
    pub faults: Vec<Fault>,
    /// Faults beyond those that are told.
    pub more_faults: u64,
}

impl Report {
    /// Adds a fault in the journal.
    pub(super) fn journal(&mut self, batch: Option<u64>, position: Option<u64>, what: impl fmt::Display) {
        self.add(Fault { file: FILE.to_owned(), batch, position, what: what.to_string() });
    }

    /// Adds a fault in another file.
    pub(super) fn file(&mut self, file: impl Into<String>, what: impl fmt::Display) {
        self.add(Fault { file: file.into(), batch: None, position: None, what: what.to_string() });
    }

    fn add(&mut self, fault: Fault) {
        // where the entry itself shows it, it says more than the hash over its batch
        let place = |fault: &Fault| (fault.batch, fault.position.unwrap_or(u64::MAX));
        let first = self.first_wrong.as_ref();
        if fault.batch.is_some() && first.is_none_or(|first| place(&fault) < place(first)) {
            self.first_wrong = Some(fault.clone());
        }
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the journal of {}: {} entries in {} batches", self.whose, self.entries, self.batches)?;
        writeln!(f, "chain hash {}", self.chain)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if let Some(first) = &self.first_wrong {
            writeln!(f, "the first wrong entry: {first}")?;
        }
        for fault in &self.faults {
            writeln!(f, "fault: {fault}")?;
        }
        match self.faults.len() as u64 + self.more_faults {
            0 => write!(f, "all is well"),
            count => write!(f, "{count} faults"),
        }
    }
}

/// A bank's journal, open for reading, with the folder's lock if there is one.
#[derive(Debug)]
pub struct Still {
    /// Whose it is.
    pub own: Own,
    /// Reads it.
    pub journal: JournalReader,
    _lock: Option<File>,
}

impl Still {
    /// Opens the journal of a folder that no bank has open.
    ///
    /// # Errors
    /// [`CannotVerify`].
    pub fn open(dir: &Path) -> Result<Self, CannotVerify> {
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        if let Err(source) = std::fs::metadata(&path) {
            return Err(CannotVerify::Io { path, source });
        }
        let sqlite = |source| CannotVerify::Sqlite { path: path.clone(), source };
        let no_journal = |what| CannotVerify::NoJournal { path: path.clone(), what };
        let connection = open_still(&path).map_err(sqlite)?;
        let schema: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
        if schema != SCHEMA_VERSION {
            return Err(no_journal(format!("it has schema {schema}")));
        }
        let whose = meta(&connection, "whose").map_err(sqlite)?;
        let whose = String::from_utf8_lossy(&whose).into_owned();
        let own = whose.rsplit_once('/').and_then(|(network, bank)| {
            Some(Own { bank: BankName::new(bank).ok()?, network: network.to_owned() })
        });
        let own = own.ok_or_else(|| no_journal(format!("it says that it is of {whose:?}")))?;
        Ok(Self { own, journal: JournalReader(connection), _lock: lock })
    }
}

/// A value of the journal's table of itself.
pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Vec<u8>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
}

/// Takes the folder's lock, if it has one, so that no bank starts meanwhile.
fn lock(dir: &Path) -> Result<Option<File>, CannotVerify> {
    let path = dir.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CannotVerify::Io { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(CannotVerify::Running(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(CannotVerify::Io { path, source }),
    }
}

/// Verifies a folder.
///
/// # Errors
/// [`CannotVerify`]: there is nothing that could be verified.
pub fn verify(dir: &Path) -> Result<Report, CannotVerify> {
    let still = Still::open(dir)?;
    let Still { own, journal, .. } = &still;
    let mut report = Report { whose: own.to_string(), ..Report::default() };
    sound(&journal.0, &mut report);
    let temporary = |source| CannotVerify::Io { path: std::env::temp_dir(), source };
    let scratch = tempfile::tempdir().map_err(temporary)?;
    let path = scratch.path().join("keys.db");
    let keys = Keys::create(&path).map_err(|source| CannotVerify::Sqlite { path, source })?;
    let people = walk::walk(dir, own, &journal.0, keys, &mut report);
    rows::check(&journal.0, &people, &mut report);
    if let Err(error) = witness::check(dir, own, journal) {
        report.file("journal.mark, projections.db, snapshots", error);
    }
    if report.is_clean() {
        projections::check(dir, own, journal, &mut report)?;
    } else if dir.join(projection::FILE).exists() {
        report.notes.push("projections.db is not compared: the journal itself is not in order".into());
    }
    Ok(report)
}

/// What SQLite itself finds wrong with the file.
fn sound(connection: &Connection, report: &mut Report) {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(lines) => {
            for line in lines.iter().filter(|line| *line != "ok") {
                report.file(FILE, format!("SQLite finds: {line}"));
            }
        }
        Err(error) => report.file(FILE, format!("SQLite cannot check it: {error}")),
    }
}
