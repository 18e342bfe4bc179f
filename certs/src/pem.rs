//! PEM and secret files. The one place that reads PEM, and the one that judges a secret file's mode.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// Writes a file with mode 0600 under a temporary name, syncs it, renames it into place, and
/// syncs the folder.
///
/// # Errors
/// [`CertsError::File`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    write(path, bytes, 0o600)
}

/// Like [`write_secret`], with mode 0644.
///
/// # Errors
/// [`CertsError::File`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    write(path, bytes, 0o644)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertsError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let kind = path.file_name().unwrap_or_default().to_string_lossy();
    files::replace(&kind, &new, path, mode, |file| file.write_all(bytes)).map_err(at(path))
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
