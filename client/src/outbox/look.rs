//! Looking at an outbox without changing anything in it, also while a client has it open.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Credit, Read, State, Stored, guarded, open_sled, read_journal};
use strife_proto::commit::TransferId;

/// Largest sled folder that is copied to be looked at, in bytes.
const COPY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is in an outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// There is one.
    pub exists: bool,
    /// A client has it open.
    pub in_use: bool,
    /// How many orders are in each state, by the word that the screen uses.
    pub orders: BTreeMap<&'static str, usize>,
    /// Entries of the journal or of sled that cannot be read.
    pub unreadable: usize,
    /// The journal's last line was cut off by an abrupt stop; what it would have said was never acknowledged.
    pub torn: bool,
    /// Orders that sled does not hold as the journal does: the next start mends it.
    pub sled_differs: usize,
    /// Why sled was not looked at, or cannot be read: the journal alone then counts.
    pub sled_trouble: Option<String>,
}

/// Looks at the outbox in a data folder. sled cannot be opened without writing, so a copy of it is.
///
/// # Errors
/// The journal cannot be read.
pub fn look(dir: &Path) -> io::Result<Look> {
    let journal = dir.join("outbox.journal");
    let mut look = Look { exists: journal.exists() || dir.join("outbox").exists(), ..Look::default() };
    look.in_use = File::open(dir.join("outbox.lock")).is_ok_and(|lock| lock.try_lock_shared().is_err());
    let mut read = Read::default();
    read_journal(&journal, &mut read)?;
    look.torn = match std::fs::read(&journal) {
        Ok(text) => text.last().is_some_and(|byte| *byte != b'\n'),
        Err(_) => false,
    };
    let of_journal = orders_of(&read);
    if look.in_use {
        look.sled_trouble = Some("a client has it open".into());
    } else if dir.join("outbox").exists() {
        let mut of_sled = Read::default();
        match read_copy(&dir.join("outbox"), &mut of_sled) {
            Ok(()) => {
                let others = orders_of(&of_sled);
                let ids = of_journal.keys().chain(others.keys()).collect::<std::collections::BTreeSet<_>>();
                look.sled_differs =
                    ids.into_iter().filter(|id| of_journal.get(*id) != others.get(*id)).count();
            }
            Err(why) => look.sled_trouble = Some(why),
        }
        read.unreadable += of_sled.unreadable;
        for (id, line) in of_sled.lines {
            read.keep_newer(id, line);
        }
    }
    look.unreadable = read.unreadable;
    for stored in orders_of(&read).values() {
        *look.orders.entry(word(stored)).or_default() += 1;
    }
    Ok(look)
}

fn orders_of(read: &Read) -> BTreeMap<TransferId, Stored> {
    read.lines.iter().filter_map(|(id, line)| Some((*id, line.stored.clone()?))).collect()
}

fn word(stored: &Stored) -> &'static str {
    match stored.state {
        State::Open if stored.sent => "pending",
        State::Open => "queued",
        State::Posted { credit: Credit::Account } => "credited",
        State::Posted { .. } => "posted",
        State::Declined(_) => "declined",
        State::Conflict | State::Void => "void",
        State::Withdrawn => "withdrawn",
        State::Parked(_) => "parked",
    }
}

fn read_copy(from: &Path, read: &mut Read) -> Result<(), String> {
    let say = |error: io::Error| error.to_string();
    if !from.is_dir() {
        return Err("it is no folder".into());
    }
    let copy = tempfile::tempdir().map_err(say)?;
    let mut left = COPY_BYTES_MAX;
    copy_folder(from, &copy.path().join("outbox"), &mut left).map_err(say)?;
    let database = guarded(|| open_sled(&copy.path().join("outbox"), read))?;
    drop(database);
    Ok(())
}

fn copy_folder(from: &Path, to: &PathBuf, left: &mut u64) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target, left)?;
            continue;
        }
        let bytes = entry.metadata()?.len();
        *left = left.checked_sub(bytes).ok_or_else(|| io::Error::other("it is too large to be copied"))?;
        std::fs::copy(entry.path(), target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::stored;
    use super::super::{Outbox, OutboxStore};
    use super::*;
    use std::io::Write;

    /// Names, lengths and times of everything in a folder.
    fn listing(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, data) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            if data.is_dir() {
                found.extend(listing(&path));
            }
            found.push((path, data.len(), data.modified().unwrap()));
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_look_counts_by_state_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()).unwrap(), Look::default());
        assert!(listing(dir.path()).is_empty());
        let ((one, first), (two, second)) = (stored(1), stored(2));
        let mut outbox = Outbox::open(dir.path()).unwrap();
        outbox.put(one, &first).await.unwrap();
        outbox.put(two, &Stored { state: State::Parked("BUSY".into()), ..second }).await.unwrap();
        let seen = look(dir.path()).unwrap();
        assert!(seen.exists && seen.in_use && seen.sled_trouble.is_some());
        drop(outbox);
        let before = listing(dir.path());
        let seen = look(dir.path()).unwrap();
        assert_eq!(seen.orders, BTreeMap::from([("queued", 1), ("parked", 1)]));
        assert!(!seen.in_use && !seen.torn && seen.sled_trouble.is_none());
        assert_eq!((seen.unreadable, seen.sled_differs), (0, 0));
        assert_eq!(listing(dir.path()), before);

        // damage of both is seen, and left as it is
        let journal = dir.path().join("outbox.journal");
        let mut file = std::fs::OpenOptions::new().append(true).open(journal).unwrap();
        file.write_all(b"{\"id\":\"of a newer program\"}\n{\"id\":\"torn").unwrap();
        std::fs::remove_dir_all(dir.path().join("outbox")).unwrap();
        std::fs::write(dir.path().join("outbox"), b"no folder").unwrap();
        let before = listing(dir.path());
        let seen = look(dir.path()).unwrap();
        assert!(seen.torn && seen.unreadable == 1 && seen.sled_trouble.is_some(), "{seen:?}");
        assert_eq!(seen.orders.values().sum::<usize>(), 2);
        assert_eq!(listing(dir.path()), before);
    }
}
