//! Back to the first state. Deletes what a demo has made in its own folder, by name, and nothing else.

use std::fs;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::layout::lock;

/// The file that says that a folder is a demo's.
const MARKER: &str = "STRIFE-DEMO";
/// Its first line.
const MARKER_LINE: &str = "This folder belongs to a Strife demo.";
/// Stands in the folder while things are being deleted.
const RESETTING: &str = "resetting";
/// What a demo makes, in the order in which it is deleted: the certificates last, since banks that were left
/// would be of no use without theirs.
const MADE: [&str; 6] = ["seeded", "banks", "client", "gateways", "logs", "network"];
/// What a person types who means it.
const WORD: &str = "reset";

/// Makes a folder a demo's, unless it is something else's.
///
/// # Errors
/// The folder holds something, and no demo has made it.
pub(crate) fn claim(dir: &Path) -> anyhow::Result<()> {
    if is_demo(dir) {
        return Ok(());
    }
    // a demo that was made before there was a marker
    let older = dir.join("demo.lock").is_file() && dir.join("network/trust.json").is_file();
    if !older && fs::read_dir(dir)?.next().is_some() {
        bail!("{} is not empty, and no demo has made it; name another folder with --data-dir", dir.display());
    }
    let text = format!("{MARKER_LINE}\n`reset` deletes these of it: {}\n", MADE.join(", "));
    fs::write(dir.join(MARKER), text).with_context(|| format!("{} cannot be written", dir.display()))
}

fn is_demo(dir: &Path) -> bool {
    let path = dir.join(MARKER);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file());
    is_file && fs::read_to_string(&path).is_ok_and(|text| text.lines().next() == Some(MARKER_LINE))
}

/// Ends a reset that was interrupted. The caller holds the folder's lock.
///
/// # Errors
/// Something cannot be deleted.
pub(crate) fn finish(dir: &Path) -> anyhow::Result<()> {
    if dir.join(RESETTING).exists() { delete(dir) } else { Ok(()) }
}

/// Throws a demo's network away. Guarded: the folder is a demo's, nothing runs in it, and the person said yes.
///
/// # Errors
/// Any of these is not so, or something cannot be deleted.
pub fn reset(dir: &Path, yes: bool) -> anyhow::Result<()> {
    // a link to the folder is the person's own; none that stands in it is followed
    let dir = dir.canonicalize().with_context(|| format!("there is no demo in {}", dir.display()))?;
    if !is_demo(&dir) {
        bail!("there is no demo in {}", dir.display());
    }
    let _lock = lock(&dir)?;
    let there: Vec<PathBuf> =
        MADE.iter().map(|name| dir.join(name)).filter(|path| fs::symlink_metadata(path).is_ok()).collect();
    println!("This deletes, with everything in it:");
    for path in &there {
        println!("  {}", path.display());
    }
    if !yes && !asked()? {
        bail!("nothing was deleted");
    }
    delete(&dir)?;
    println!("The network in {} is gone; the next start makes a new one.", dir.display());
    Ok(())
}

/// Asks for the word, where somebody can type it.
fn asked() -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("nothing was deleted; say --yes");
    }
    print!("Type {WORD} to go on: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(line.trim() == WORD)
}

/// Deletes what a demo makes. Notes first that it has begun, so that the next start can end it.
fn delete(dir: &Path) -> anyhow::Result<()> {
    fs::write(dir.join(RESETTING), b"1\n")?;
    for name in MADE.into_iter().chain([RESETTING]) {
        let path = dir.join(name);
        // without following a link, neither here nor below: the standard library deletes links themselves
        let deleted = match fs::symlink_metadata(&path) {
            Ok(file) if file.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match deleted {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &Path) {
        claim(dir).unwrap();
        for name in MADE {
            fs::create_dir_all(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("file"), b"1").unwrap();
        }
    }

    #[test]
    fn a_reset_deletes_what_a_demo_made_and_nothing_that_a_link_leads_to() {
        let outside = tempfile::tempdir().unwrap();
        let treasure = outside.path().join("treasure");
        fs::write(&treasure, b"gold").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        made(dir);
        fs::write(dir.join("a person's own"), b"1").unwrap();
        // links in place of what is deleted, and below it
        fs::remove_dir_all(dir.join("logs")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.join("logs")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.join("banks/link")).unwrap();
        reset(dir, true).unwrap();
        assert_eq!(fs::read(&treasure).unwrap(), b"gold");
        let mut left: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [MARKER, "a person's own", "demo.lock"]);
        claim(dir).unwrap();
    }

    #[test]
    fn a_folder_that_no_demo_made_is_neither_used_nor_reset() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::create_dir_all(dir.join("client")).unwrap();
        assert!(claim(dir).unwrap_err().to_string().contains("is not empty"));
        assert!(reset(dir, true).unwrap_err().to_string().contains("there is no demo"));
        // nor one whose marker is a link, or somebody else's words
        std::os::unix::fs::symlink("/dev/null", dir.join(MARKER)).unwrap();
        assert!(reset(dir, true).is_err());
        fs::remove_file(dir.join(MARKER)).unwrap();
        fs::write(dir.join(MARKER), b"my notes\n").unwrap();
        assert!(reset(dir, true).is_err());
        assert!(dir.join("client").is_dir());
    }

    #[test]
    fn without_a_yes_nothing_is_deleted_and_a_running_demo_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        made(dir);
        // a test's standard input may be a terminal; the guard behind the question is the same
        let held = lock(dir).unwrap();
        assert!(reset(dir, true).unwrap_err().to_string().contains("a demo is running"));
        drop(held);
        assert!(MADE.iter().all(|name| dir.join(name).exists()));
    }

    #[test]
    fn an_interrupted_reset_is_ended_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        made(dir);
        finish(dir).unwrap();
        assert!(dir.join("network").exists());
        fs::write(dir.join(RESETTING), b"1\n").unwrap();
        fs::remove_dir_all(dir.join("banks")).unwrap();
        finish(dir).unwrap();
        assert!(!dir.join("network").exists() && !dir.join(RESETTING).exists());
    }
}
