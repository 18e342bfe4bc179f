//! Files that this client writes for itself. One that cannot be read is moved aside and told, never written over and
//! never deleted; only one that is not there is none.

use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use strife_seams::files;

/// What a look at a file has found.
#[derive(Debug)]
pub(crate) enum Read<T> {
    /// What it holds.
    Good(T),
    /// There is no such file.
    None,
    /// It cannot be read. Why, and where it is now, in a sentence.
    Bad(String),
}

/// Reads a file of JSON; moves it aside if it cannot be read.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Read<T> {
    let why = match std::fs::read(path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(held) => return Read::Good(held),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Read::None,
        Err(error) => error.to_string(),
    };
    Read::Bad(match move_aside(path) {
        Ok(aside) => format!("{why}; the file was moved to {aside}."),
        Err(error) => format!("{why}; and {} cannot be moved aside: {error}.", path.display()),
    })
}

/// Gives a file or folder another name beside its own, one that nothing has yet. Returns it.
///
/// # Errors
/// It cannot be renamed.
pub(crate) fn move_aside(path: &Path) -> std::io::Result<String> {
    let first = format!("{}.broken-{}", path.display(), crate::now_ms());
    let mut aside = first.clone();
    let mut number = 2;
    while Path::new(&aside).symlink_metadata().is_ok() {
        aside = format!("{first}-{number}");
        number += 1;
    }
    files::rename("aside", path, Path::new(&aside))?;
    Ok(aside)
}
