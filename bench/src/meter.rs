//! What is used between two moments: by processes, of the disk, in the banks' journals and the log files. All of it is
//! read from outside, from what the kernel counts and from what the daemons wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use strife_bank::journal::store;
use strife_bank::projection;

use crate::kernel::{Used, flushes, used, used_with_children};

/// The driver's name among the processes.
pub(crate) const DRIVER: &str = "driver";

/// How long journals must stand still to be at rest, how often they are looked at, and how long that may take.
const REST: Duration = Duration::from_millis(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_secs(120);
/// How long a bank may be busy with its file.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Bytes of a log that are looked at together.
const READ_BYTES: usize = 64 * 1024;

/// What is read.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Each process.
    pub processes: Vec<(String, u32)>,
    /// Each process that is to be counted with those that it started.
    pub families: Vec<(String, u32)>,
    /// The data folder of each bank.
    pub journals: Vec<(String, PathBuf)>,
    /// The newest RPC log of each daemon.
    pub logs: Vec<(String, PathBuf)>,
    /// A folder on the disk.
    pub dir: PathBuf,
}

/// What stood at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    used: BTreeMap<String, Used>,
    flushes: Option<u64>,
    journals: BTreeMap<String, Batches>,
    logs: BTreeMap<String, u64>,
}

/// Batches of a journal, and the entries in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batches {
    /// Rows of its table `batches`.
    pub batches: u64,
    /// The sum of their `count`.
    pub entries: u64,
}

/// What was used between two moments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// By each process, by name.
    pub used: BTreeMap<String, Used>,
    /// How often the disk was flushed, where the kernel counts that: by everybody on this machine.
    pub flushes: Option<u64>,
    /// What each bank appended to its journal, by name.
    pub batches: BTreeMap<String, Batches>,
    /// Lines of each daemon's RPC log, by name.
    pub rpc_lines: BTreeMap<String, u64>,
}

impl Meter {
    /// Reads all of it.
    ///
    /// # Errors
    /// A process has ended, or a file cannot be read.
    pub(crate) fn read(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            used: self.used()?,
            flushes: flushes(&self.dir),
            journals: self.journals()?,
            logs: self
                .logs
                .iter()
                .map(|(name, path)| Ok((name.clone(), length(path)?)))
                .collect::<anyhow::Result<_>>()?,
        })
    }

    /// What was used since a reading.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn since(&self, before: &Reading) -> anyhow::Result<Spent> {
        let flushes =
            flushes(&self.dir).zip(before.flushes).map(|(after, before)| after.saturating_sub(before));
        let mut spent = Spent { flushes, ..Spent::default() };
        for (name, after) in self.used()? {
            let before = before.used.get(&name).copied().unwrap_or_default();
            spent.used.insert(name, after.since(before));
        }
        for (name, after) in self.journals()? {
            let before = before.journals.get(&name).copied().unwrap_or_default();
            let (batches, entries) = (after.batches - before.batches, after.entries - before.entries);
            spent.batches.insert(name, Batches { batches, entries });
        }
        for (name, path) in &self.logs {
            let from = before.logs.get(name).copied().unwrap_or(0);
            spent.rpc_lines.insert(name.clone(), lines(path, from)?);
        }
        Ok(spent)
    }

    /// Waits until the banks have nothing left to do: the journals rest and the projections have reached them. Returns
    /// when that was first so.
    ///
    /// # Errors
    /// A file cannot be read, or it never comes to rest.
    pub(crate) async fn rest(&self) -> anyhow::Result<Instant> {
        let began = Instant::now();
        let (mut since, mut before) = (began, self.journals()?);
        while since.elapsed() < REST || !self.projected(&before)? {
            ensure!(began.elapsed() < REST_MAX, "the banks do not come to rest");
            tokio::time::sleep(LOOK_AGAIN).await;
            let now = self.journals()?;
            if now != before || !self.projected(&now)? {
                (since, before) = (Instant::now(), now);
            }
        }
        Ok(since)
    }

    /// The projections hold all of the journals.
    fn projected(&self, journals: &BTreeMap<String, Batches>) -> anyhow::Result<bool> {
        for (name, dir) in &self.journals {
            let connection = open(&dir.join(projection::FILE))?;
            let batch: i64 = connection.query_row("SELECT batch FROM progress", [], |row| row.get(0))?;
            if journals.get(name).is_some_and(|journal| journal.batches > batch.cast_unsigned()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn used(&self) -> anyhow::Result<BTreeMap<String, Used>> {
        let processes = self.processes.iter().map(|(name, pid)| Ok((name.clone(), used(*pid)?)));
        let families = self.families.iter().map(|(name, pid)| Ok((name.clone(), used_with_children(*pid)?)));
        processes.chain(families).collect()
    }

    fn journals(&self) -> anyhow::Result<BTreeMap<String, Batches>> {
        self.journals.iter().map(|(name, dir)| Ok((name.clone(), journal(dir)?))).collect()
    }
}

impl Spent {
    /// Handed to the disk by everything but the driver.
    pub(crate) fn servers_bytes(&self) -> u64 {
        self.servers().map(|used| used.bytes_written).sum()
    }

    /// CPU of everything but the driver, in microseconds.
    pub(crate) fn servers_cpu_us(&self) -> u64 {
        self.servers().map(|used| used.cpu_us).sum()
    }

    fn servers(&self) -> impl Iterator<Item = &Used> {
        self.used.iter().filter(|(name, _)| *name != DRIVER).map(|(_, used)| used)
    }
}

/// All batches of a bank's journal, by its last one: numbers and positions have no gaps.
fn journal(dir: &Path) -> anyhow::Result<Batches> {
    let connection = open(&dir.join(store::FILE))?;
    let last = "SELECT number, first_position + count - 1 FROM batches ORDER BY number DESC LIMIT 1";
    let row = connection
        .query_row(last, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let (number, position) = row.unwrap_or_default();
    Ok(Batches { batches: number.try_into()?, entries: position.try_into()? })
}

/// A file of a running bank, for reading alone and only for a moment.
fn open(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    Ok(connection)
}

fn length(path: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.len())
}

/// Lines after a place. A file that is shorter has begun anew.
fn lines(path: &Path, from: u64) -> anyhow::Result<u64> {
    let mut file = fs::File::open(path)?;
    if file.metadata()?.len() >= from {
        file.seek(SeekFrom::Start(from))?;
    }
    let (mut buffer, mut lines) = (vec![0; READ_BYTES], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(lines);
        }
        lines += buffer.iter().take(read).filter(|byte| **byte == b'\n').count() as u64;
    }
}
