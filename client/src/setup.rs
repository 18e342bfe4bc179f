//! Making a client's first settings: what an administrator handed out is checked, copied to where the settings are,
//! and only then the settings are written, so that half a set-up is none.
//!
//! What must never: overwriting settings; taking a network's certificate for granted (a person compares its
//! fingerprint, in the screens).

use std::path::{Path, PathBuf};

use strife_certs::authority::read_trust;
use strife_certs::identity::Identity;
use strife_certs::inspect::{self, day_of};
use strife_certs::pem;
use strife_certs::roster::Roster;
use strife_certs::tls::Material;
use strife_config::{ClientSettings, Settings};

use crate::doctor::network::{Answer, Trouble, ask};
use crate::now_ms;

/// The five files that a client needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The network's root certificate.
    pub authority: PathBuf,
    /// The network's name and roster key.
    pub trust: PathBuf,
    /// The signed roster.
    pub roster: PathBuf,
    /// The client's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// What the settings are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `host:port`.
    pub gateway: String,
    /// As they were handed out.
    pub files: Files,
    /// The settings file; the others are copied beside it.
    pub config: PathBuf,
    /// Outbox and last seen balances.
    pub data_dir: PathBuf,
}

/// One of two files that were checked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The roster, or the certificate.
    First,
    /// What it is checked with: the network's name and key, or the private key.
    Second,
}

/// Where something is wrong, and what.
pub type Wrong = (Which, String);

/// Names as `strife-certs` gives them.
const AUTHORITY: &str = "ca.pem";
const TRUST: &str = "trust.json";
const ROSTER: &str = "roster.bin";
const CERTIFICATE: &str = "tls.pem";
const PRIVATE_KEY: &str = "tls.key";

/// Finds the five files in a folder: all in it, or as `strife-certs issue` leaves them, with the network's own two
/// folders above the client's.
///
/// # Errors
/// Which files are missing, in words.
pub fn find_files(dir: &Path) -> Result<Files, String> {
    if !dir.is_dir() {
        return Err(format!("{} is no folder", dir.display()));
    }
    let above = dir.join("../..");
    let find = |name: &str, places: &[&Path]| {
        places.iter().map(|place| place.join(name)).find(|path| path.is_file()).ok_or_else(|| name.to_owned())
    };
    let network = |name| find(name, &[dir, &above]);
    let found = [
        network(AUTHORITY),
        network(TRUST),
        network(ROSTER),
        find(CERTIFICATE, &[dir]),
        find(PRIVATE_KEY, &[dir]),
    ];
    let missing: Vec<String> = found.iter().filter_map(|one| one.clone().err()).collect();
    match found {
        [Ok(authority), Ok(trust), Ok(roster), Ok(certificate), Ok(private_key)] => {
            Ok(Files { authority, trust, roster, certificate, private_key })
        }
        _ => Err(format!("there is no {} in it", missing.join(", no "))),
    }
}

/// The fingerprint of a network's root certificate, to be compared with what the bank has said.
///
/// # Errors
/// Why the file cannot be used.
pub fn fingerprint(authority: &Path) -> Result<String, String> {
    inspect::fingerprint(authority).map_err(|error| error.to_string())
}

/// Whether a typed fingerprint is this one: colons, spaces and case do not matter.
pub fn same_fingerprint(typed: &str, fingerprint: &str) -> bool {
    let plain = |text: &str| {
        text.chars().filter(|c| !matches!(c, ':' | ' ' | '\t' | '-')).collect::<String>().to_ascii_uppercase()
    };
    plain(typed) == plain(fingerprint)
}

/// Verifies a roster with the network's key: the network's name, and its banks.
///
/// # Errors
/// [`Wrong`]; the second file is the one with the key.
pub fn check_roster(roster: &Path, trust: &Path) -> Result<(String, Vec<String>), Wrong> {
    let (network, key) = read_trust(trust).map_err(|error| (Which::Second, error.to_string()))?;
    let roster = Roster::load(roster, &network, &key).map_err(|error| (Which::First, error.to_string()))?;
    Ok((network, roster.banks.keys().map(ToString::to_string).collect()))
}

/// Checks that a certificate is a client's, of this network and issued by it, valid now, and that the key is its
/// own: who it is and until when, in words.
///
/// # Errors
/// [`Wrong`]; the second file is the key.
pub fn check_certificate(files: &Files, network: &str) -> Result<String, Wrong> {
    let first = |says: String| (Which::First, says);
    let material = Material {
        authority: &files.authority,
        certificate: &files.certificate,
        private_key: &files.private_key,
    };
    let facts = material.facts().map_err(|error| first(error.to_string()))?;
    if !matches!(facts.peer.identity, Identity::Client(_)) {
        return Err(first(format!("it is the certificate of {}, not of a client", facts.peer.identity)));
    }
    if facts.peer.network != network {
        return Err(first(format!("it is of network {}, the roster of {network}", facts.peer.network)));
    }
    let (from, until) = (day_of(facts.not_before_ms), day_of(facts.not_after_ms));
    if now_ms() >= facts.not_after_ms {
        return Err(first(format!("it has ended on {until}; ask for a new one")));
    }
    if now_ms() < facts.not_before_ms {
        return Err(first(format!("it is valid from {from} on; is this machine's clock right?")));
    }
    material
        .check_issued(now_ms())
        .map_err(|error| first(format!("it was not issued by this network's authority ({error})")))?;
    let second = |says: String| (Which::Second, says);
    material.check_key().map_err(|error| match error {
        strife_certs::CertsError::Tls(_) => second("it is not the key of this certificate".into()),
        error => second(error.to_string()),
    })?;
    Ok(format!("{}, until {until}", facts.peer.identity))
}

/// Asks the gateway with the files as they were handed out.
///
/// # Errors
/// Why it does not answer, in words.
pub async fn greet(plan: &Plan) -> Result<Answer, String> {
    let settings = settings_of(&text(plan, &plan.files)?)?;
    ask(&settings, &plan.gateway).await.map_err(|trouble| match trouble {
        Trouble::NoName(why) => format!("its name is not known ({why})"),
        Trouble::NoConnection(why) => format!("no connection ({why})"),
        Trouble::Stranger(why) => format!("it is not a gateway of this network ({why})"),
        Trouble::Clock(why) => format!("its certificate is not valid by this machine's clock ({why})"),
        Trouble::NoAnswer(why) => format!("connected, but no answer ({why})"),
    })
}

/// Connects to an address, no more.
///
/// # Errors
/// Why not, in words.
pub async fn connect(address: &str) -> Result<(), String> {
    crate::doctor::network::connect(address).await.map_err(|trouble| match trouble {
        Trouble::NoName(why) => format!("the name is not known ({why})"),
        Trouble::NoConnection(why)
        | Trouble::Stranger(why)
        | Trouble::Clock(why)
        | Trouble::NoAnswer(why) => {
            format!("no connection ({why})")
        }
    })
}

/// Copies the files beside the settings, the private ones with mode 0600, and writes the settings last, each under a
/// temporary name and renamed. What stood there under the same name is kept aside.
///
/// # Errors
/// Why not, in words; without the settings file nothing is set up.
pub fn install(plan: &Plan) -> Result<(), String> {
    let say = |error: strife_certs::CertsError| error.to_string();
    let dir = plan.config.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    pem::make_private_dir(dir).map_err(say)?;
    let from = &plan.files;
    for (source, name, private) in [
        (&from.authority, AUTHORITY, false),
        (&from.trust, TRUST, false),
        (&from.roster, ROSTER, false),
        (&from.certificate, CERTIFICATE, true),
        (&from.private_key, PRIVATE_KEY, true),
    ] {
        let target = dir.join(name);
        let bytes = if name == PRIVATE_KEY {
            pem::read_secret(source).map_err(say)?
        } else {
            zeroize::Zeroizing::new(pem::read_file(source).map_err(say)?)
        };
        if let Ok(before) = std::fs::read(&target).map(zeroize::Zeroizing::new) {
            if before == bytes {
                continue;
            }
            let aside = dir.join(format!("{name}.old-{}", now_ms()));
            strife_seams::files::rename("setup_aside", &target, &aside)
                .map_err(|error| format!("{}: {error}", target.display()))?;
        }
        let write = if private { pem::write_secret } else { pem::write_public };
        write(&target, &bytes).map_err(say)?;
    }
    let installed = Files {
        authority: AUTHORITY.into(),
        trust: TRUST.into(),
        roster: ROSTER.into(),
        certificate: CERTIFICATE.into(),
        private_key: PRIVATE_KEY.into(),
    };
    let text = text(plan, &installed)?;
    settings_of(&text)?;
    if plan.config.exists() {
        return Err(format!("{} is there meanwhile; it is left as it is", plan.config.display()));
    }
    pem::write_secret(&plan.config, text.as_bytes()).map_err(say)
}

/// The settings file: what was answered, then every other key with its meaning, commented out at its default.
///
/// # Errors
/// A path that is not UTF-8 cannot stand in the file.
fn text(plan: &Plan, files: &Files) -> Result<String, String> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let path = |path: &Path| match path.to_str() {
        Some(text) => Ok(quoted(text)),
        None => Err(format!("{} is not UTF-8 and cannot stand in the settings", path.display())),
    };
    let defaults: String = ClientSettings::DEFAULTS
        .lines()
        // the shipped file's own heading
        .skip_while(|line| line.starts_with('#'))
        .map(|line| match line {
            line if line.is_empty() || line.starts_with('#') => format!("{line}\n"),
            line => format!("#{line}\n"),
        })
        .collect();
    Ok(format!(
        "# The settings of `strife`, written at its first start. Change them as you like; `strife doctor` checks them.\n\
         # A key behind a # stands at its default. Paths may be relative to this file.\n\
         \n\
         # Addresses of gateways, host:port, the preferred one first.\n\
         gateways = [{}]\n\
         # The outbox, the balances last seen and, where no keyring is used, the device keys.\n\
         data_dir = {}\n\
         # A sentence for the log-in screen of a rehearsal network. Not set by default.\n\
         #demo = \"\"\n\
         {defaults}\n\
         # Who this client is: its certificate (PEM, then any intermediate), and the key (PEM, mode 0600).\n\
         [tls]\n\
         certificate = {}\n\
         private_key = {}\n\
         \n\
         # What it believes: the network's root certificate, its name and roster key, the banks' keys.\n\
         [trust]\n\
         authority = {}\n\
         trust = {}\n\
         roster = {}\n",
        quoted(&plan.gateway),
        path(&plan.data_dir)?,
        path(&files.certificate)?,
        path(&files.private_key)?,
        path(&files.authority)?,
        path(&files.trust)?,
        path(&files.roster)?,
    ))
}

/// Reads settings that are not where they will be yet, by the function that will read them then.
fn settings_of(text: &str) -> Result<ClientSettings, String> {
    let say = |error: std::io::Error| error.to_string();
    let dir = tempfile::tempdir().map_err(say)?;
    let file = dir.path().join("client.toml");
    std::fs::write(&file, text).map_err(say)?;
    ClientSettings::load(&file).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
