//! The network's certificates and keys: authority, issue, TLS configurations, roster, sealing.
//!
//! What lives here: who a certificate says its holder is ([`identity`]); making a network and its members
//! ([`authority`]); TLS for each role ([`tls`]), and connecting with it ([`connect`]); looking at certificates for a
//! person ([`inspect`]); the banks' public keys that everybody pins ([`roster`]) and
//! their private halves ([`keys`]); log-ins that only a bank can read ([`sealing`]). What must never: a
//! decision about what an identity may do (that is the policy of each daemon).

pub mod authority;
pub mod connect;
pub mod identity;
pub mod inspect;
pub mod keys;
pub mod pem;
pub mod roster;
pub mod sealing;
pub mod tls;

use std::path::PathBuf;

/// What can go wrong with certificates and keys. Each says which file or name it is about.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret file that others can read.
    #[error("{path}: mode {mode:04o} lets others read this secret; `chmod 600` it", path = path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file without what it should hold.
    #[error("{path}: holds no {what}", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A name that cannot stand in a certificate.
    #[error("{0:?}: a name is 1 to 64 ASCII letters, digits, dots, hyphens or underscores")]
    Name(String),
    /// A certificate without a Strife identity, or with more than one.
    #[error("the certificate names no member of a Strife network (a spiffe:// URI)")]
    NoIdentity,
    /// A certificate that does not parse.
    #[error("the certificate is malformed")]
    Malformed,
    /// A roster whose signature, network or version is not right.
    #[error("the roster is not valid: {0}")]
    Roster(&'static str),
    /// The folder holds a network already.
    #[error("{}: there is a network here already", .0.display())]
    Exists(PathBuf),
    /// A sealed message that this key cannot open.
    #[error("the sealed message cannot be opened")]
    Sealed,
    /// Making a certificate failed.
    #[error("making a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// TLS refused the material.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS refused the authority.
    #[error("TLS: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}
