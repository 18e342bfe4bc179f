//! PEM and secret files. The one place that reads PEM, and the one that judges a secret file's mode.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use strife_seams::files;
use zeroize::Zeroizing;

use crate::CertsError;

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CertsError + '_ {
    |source| CertsError::File { path: path.to_owned(), source }
}

/// Reads every certificate of a PEM file.
///
/// # Errors
/// [`CertsError::File`]; [`CertsError::Empty`] where there is none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertsError> {
    let text = fs::read(path).map_err(at(path))?;
    let certificates =
        rustls_pemfile::certs(&mut text.as_slice()).collect::<Result<Vec<_>, _>>().map_err(at(path))?;
    if certificates.is_empty() {
        return Err(CertsError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(certificates)
}

/// Reads the private key of a PEM file that nobody else may read.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::TooOpen`]; [`CertsError::Empty`] where there is none.
pub fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertsError> {
    let text = read_secret(path)?;
    rustls_pemfile::private_key(&mut text.as_slice())
        .map_err(at(path))?
        .ok_or_else(|| CertsError::Empty { path: path.to_owned(), what: "private key" })
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::TooOpen`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertsError> {
    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CertsError::TooOpen { path: path.to_owned(), mode });
    }
    fs::read(path).map(Zeroizing::new).map_err(at(path))
}

/// Writes a file with mode 0600 under a temporary name of its own, syncs it, renames it into place, and syncs the
/// folder. Whoever reads finds the old bytes or the new ones, also while several write.
///
/// # Errors
/// [`CertsError::File`], with the file's own name; what was there is as it was, unless the folder could not be synced.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    write(path, bytes, 0o600).map_err(at(path))
}

/// Like [`write_secret`], with mode 0644.
///
/// # Errors
/// [`CertsError::File`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    write(path, bytes, 0o644).map_err(at(path))
}

/// Files written by this process, so that no two are written under one temporary name.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    let kind = path.file_name().unwrap_or_default().to_string_lossy();
    files::replace(&kind, &path.with_file_name(name), path, mode, |file| file.write_all(bytes))
}

/// Makes a folder (and those above it) that only its owner may enter.
///
/// # Errors
/// [`CertsError::File`].
pub fn make_private_dir(path: &Path) -> Result<(), CertsError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Reads any file.
///
/// # Errors
/// [`CertsError::File`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, CertsError> {
    fs::read(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn who_reads_while_many_write_finds_whole_files_and_nothing_is_left_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings");
        write_secret(&path, &[b'x'; 5_000]).unwrap();
        std::thread::scope(|scope| {
            for letter in b'a'..b'e' {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..25 {
                        write_secret(path, &[letter; 5_000]).unwrap();
                    }
                });
            }
            for _ in 0..500 {
                let read = fs::read(&path).unwrap();
                assert!(read.len() == 5_000 && read.iter().all(|byte| *byte == read[0]));
            }
        });
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["settings"]);
    }

    #[test]
    fn the_mode_is_the_files_own_whatever_lay_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for open in [path.clone(), dir.path().join("key.new")] {
            fs::write(&open, b"old").unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
        }
        write_secret(&path, b"new").unwrap();
        assert_eq!((mode_of(&path), fs::read(&path).unwrap()), (0o600, b"new".to_vec()));
        assert_eq!(fs::read(dir.path().join("key.new")).unwrap(), b"old", "somebody else's");
        write_public(&path, b"known").unwrap();
        assert_eq!(mode_of(&path), 0o644);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_once_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("is-a-folder");
        fs::create_dir_all(path.join("full")).unwrap();
        let error = write_secret(&path, b"1").unwrap_err().to_string();
        assert_eq!(error.matches("is-a-folder").count(), 1, "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_secret(&dir.path().join("no/folder"), b"1").is_err());
    }
}
