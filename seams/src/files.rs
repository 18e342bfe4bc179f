//! The one place in which the files of a bank and of a client are changed, beside SQLite and sled. Each change stands
//! between two kill points (`write/NAME`), so that a test can end the process before and after it; a test of the
//! repository's sources finds a change that is made anywhere else.
//!
//! What must never: a half-written file under its own name, or one under a temporary name that stays after a failure.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use strife_faults::kill::{self, When};

/// Does one change between its kill points.
pub fn change<T>(name: &str, work: impl FnOnce() -> T) -> T {
    kill::passes(When::Before, &format!("write/{name}"));
    let done = work();
    kill::passes(When::After, &format!("write/{name}"));
    done
}

/// Writes a file under a temporary name, syncs it, renames it into place, and syncs the folder. Where that fails the
/// temporary file is taken away again, so that a full disk is not kept full by it.
///
/// # Errors
/// What the system says; the file of that name is as it was.
pub fn replace(
    name: &str,
    temporary: &Path,
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let written = change(name, || {
        // made anew, with its mode: one that a killed process left may have another
        let _ = fs::remove_file(temporary);
        let mut file = File::options().write(true).create_new(true).mode(mode).open(temporary)?;
        write(&mut file)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| rename(&format!("{name}_rename"), temporary, path));
    if placed.is_err() {
        // it may never have been made
        let _ = fs::remove_file(temporary);
    }
    placed
}

/// Gives a file another name, and syncs the folder.
///
/// # Errors
/// What the system says.
pub fn rename(name: &str, from: &Path, to: &Path) -> io::Result<()> {
    change(name, || {
        fs::rename(from, to)?;
        match to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    })
}

/// Copies a file.
///
/// # Errors
/// What the system says.
pub fn copy(name: &str, from: &Path, to: &Path) -> io::Result<()> {
    change(name, || fs::copy(from, to).map(drop))
}

/// Takes a file away; one that is not there is no error.
///
/// # Errors
/// What the system says.
pub fn remove(name: &str, path: &Path) -> io::Result<()> {
    let removed = change(name, || fs::remove_file(path));
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Opens a file for appending, making it if it is not there.
///
/// # Errors
/// What the system says.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// Opens a file for overwriting parts of it, making it if it is not there.
///
/// # Errors
/// What the system says.
pub fn open_to_overwrite(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Appends to a file, and syncs it.
///
/// # Errors
/// What the system says; how much is written is not known.
pub fn append(name: &str, file: &mut File, bytes: &[u8]) -> io::Result<()> {
    change(name, || file.write_all(bytes).and_then(|()| file.sync_data()))
}

/// Cuts a file off, and syncs it.
///
/// # Errors
/// What the system says.
pub fn shorten(name: &str, file: &File, len: u64) -> io::Result<()> {
    change(name, || file.set_len(len).and_then(|()| file.sync_data()))
}

/// Overwrites a part of a file, and does not sync it.
///
/// # Errors
/// What the system says; how much is written is not known.
pub fn overwrite(name: &str, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    change(name, || file.write_all_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all_and_nothing_is_left_beside_it() {
        let dir = std::env::temp_dir().join(format!("strife-files-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (path, temporary) = (dir.join("file"), dir.join("file.new"));
        let text = |text: &'static str| move |file: &mut File| file.write_all(text.as_bytes());
        replace("file", &temporary, &path, 0o600, text("one")).unwrap();
        let half = |file: &mut File| {
            file.write_all(b"tw")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace("file", &temporary, &path, 0o600, half).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // a folder of that name cannot be replaced by a file
        fs::create_dir(dir.join("folder")).unwrap();
        replace("folder", &temporary, &dir.join("folder"), 0o600, text("two")).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(!temporary.exists());
        remove("file", &path).unwrap();
        remove("file", &path).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
