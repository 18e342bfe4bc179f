//! What all members have: certificates, what they trust, log files.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{SettingsError, check_range, rebase};

/// A member's own TLS files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate, then any intermediate (PEM).
    pub certificate: PathBuf,
    /// Private key (PEM, mode 0600).
    pub private_key: PathBuf,
}

impl TlsFiles {
    pub(crate) fn rebase(&mut self, base: &Path) {
        rebase(&mut self.certificate, base);
        rebase(&mut self.private_key, base);
    }
}

/// What a member believes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFiles {
    /// The network's root certificate (PEM).
    pub authority: PathBuf,
    /// The network's name and roster key.
    pub trust: PathBuf,
    /// The signed roster.
    pub roster: PathBuf,
}

impl TrustFiles {
    pub(crate) fn rebase(&mut self, base: &Path) {
        rebase(&mut self.authority, base);
        rebase(&mut self.trust, base);
        rebase(&mut self.roster, base);
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where and how a daemon logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// One folder for each stream is made in here.
    pub dir: PathBuf,
    /// How lines look.
    pub format: LogFormat,
    /// Whether bodies, with secrets redacted, stand on the RPC lines.
    pub bodies: bool,
    /// Rotated files kept of each stream, 1 to 10000.
    pub files_max: usize,
}

impl LogSettings {
    pub(crate) fn rebase(&mut self, base: &Path) {
        rebase(&mut self.dir, base);
    }

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range("logs.files_max", self.files_max, 1..=10_000, "1 to 10000")
    }
}
