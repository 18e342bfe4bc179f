//! How a bank's files are opened: for writing, for reading beside a writer, for reading where nobody writes.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What every connection of a bank is opened with.
pub(crate) fn configure(connection: &Connection, synchronous: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))
}

/// Opens a file for reading alone.
pub(crate) fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// Opens a file that nobody writes, for reading alone, and leaves nothing beside it: also on a medium that cannot be
/// written.
pub(crate) fn open_still(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return open_read_only(path);
    }
    let mut uri = String::from("file:");
    for character in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    open_read_only(Path::new(&uri))
}
