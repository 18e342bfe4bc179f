//! Making a network and its members: a root, an intermediate that issues clients alone, the roster key.
//!
//! Layout of a network's folder: `ca.pem`, `roster.bin`, `trust.json` (public; what every member needs);
//! `authority/` (private; keep it offline); `banks/<name>/`, `gateways/<name>/`, `clients/<name>/`,
//! `operators/<bank>/<name>/`, each with `tls.pem` and `tls.key`, a bank also with its three keys.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};
use strife_proto::signing::PublicKey;
use time::{Duration, OffsetDateTime};

use crate::identity::{Identity, check_name};
use crate::keys::{self, BankKeys};
use crate::roster::Roster;
use crate::{CertsError, pem};

/// Days that a member's certificate is valid.
pub const LEAF_DAYS: i64 = 90;
const INTERMEDIATE_DAYS: i64 = 5 * 365;
const ROOT_DAYS: i64 = 10 * 365;
/// How far back a certificate's validity begins, for clocks that are a little slow.
const BACKDATE_MINUTES: i64 = 5;

/// What a member pins: the network's name and its roster key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trust {
    network: String,
    roster_key: String,
}

/// A network's folder.
#[derive(Clone, Debug)]
pub struct Network {
    dir: PathBuf,
    name: String,
    roster_key: PublicKey,
}

/// Where a member's files are.
#[derive(Clone, Debug)]
pub struct MemberFiles {
    /// The member's folder.
    pub dir: PathBuf,
    /// Its certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

impl MemberFiles {
    fn in_dir(dir: PathBuf) -> Self {
        Self { certificate: dir.join("tls.pem"), private_key: dir.join("tls.key"), dir }
    }
}

impl Network {
    /// Makes a new network with no members.
    ///
    /// # Errors
    /// [`CertsError::Exists`], [`CertsError::Name`], [`CertsError::File`], [`CertsError::Generate`].
    pub fn create(dir: &Path, name: &str) -> Result<Self, CertsError> {
        check_name(name)?;
        if dir.join("trust.json").exists() {
            return Err(CertsError::Exists(dir.to_owned()));
        }
        let authority = dir.join("authority");
        pem::make_private_dir(&authority)?;

        let root = CertifiedIssuer::self_signed(
            authority_params(&format!("{name} root"), ROOT_DAYS, BasicConstraints::Constrained(1))?,
            KeyPair::generate()?,
        )?;
        let clients = CertifiedIssuer::signed_by(
            authority_params(
                &format!("{name} clients"),
                INTERMEDIATE_DAYS,
                BasicConstraints::Constrained(0),
            )?,
            KeyPair::generate()?,
            &root,
        )?;
        pem::write_secret(&authority.join("root.key"), root.key().serialize_pem().as_bytes())?;
        pem::write_secret(&authority.join("clients.key"), clients.key().serialize_pem().as_bytes())?;
        pem::write_public(&authority.join("clients.pem"), clients.pem().as_bytes())?;
        pem::write_public(&dir.join("ca.pem"), root.pem().as_bytes())?;

        let roster_key = keys::write_seed(&authority.join("roster.key"))?;
        let roster = Roster { network: name.to_owned(), version: 1, banks: Default::default() };
        pem::write_public(&dir.join("roster.bin"), &roster.sign(&roster_key))?;
        let trust = Trust { network: name.to_owned(), roster_key: to_hex(&roster_key.public().0) };
        // a struct of two strings always serialises
        let trust = serde_json::to_vec_pretty(&trust).expect("two strings serialise");
        pem::write_public(&dir.join("trust.json"), &trust)?;
        Self::open(dir)
    }

    /// Opens a network's folder.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::Empty`].
    pub fn open(dir: &Path) -> Result<Self, CertsError> {
        let (name, roster_key) = read_trust(&dir.join("trust.json"))?;
        Ok(Self { dir: dir.to_owned(), name, roster_key })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The root certificate's file.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The signed roster's file.
    pub fn roster_file(&self) -> PathBuf {
        self.dir.join("roster.bin")
    }

    /// The file with what members pin.
    pub fn trust_file(&self) -> PathBuf {
        self.dir.join("trust.json")
    }

    /// The roster as it stands.
    ///
    /// # Errors
    /// [`CertsError::File`], [`CertsError::Roster`].
    pub fn roster(&self) -> Result<Roster, CertsError> {
        Roster::load(&self.roster_file(), &self.name, &self.roster_key)
    }

    /// Where a member's files are, whether made yet or not.
    pub fn files_of(&self, identity: &Identity) -> MemberFiles {
        MemberFiles::in_dir(match identity {
            Identity::Bank(name) => self.dir.join("banks").join(name.as_str()),
            Identity::Gateway(name) => self.dir.join("gateways").join(name),
            Identity::Client(name) => self.dir.join("clients").join(name),
            Identity::Operator { bank, name } => self.dir.join("operators").join(bank.as_str()).join(name),
        })
    }

    /// Issues a member's certificate, valid for `days` from now ([`LEAF_DAYS`] is usual), with a new key. For
    /// a bank that is not in the roster yet, also makes its own keys and signs the next roster.
    ///
    /// # Errors
    /// [`CertsError::Name`], [`CertsError::File`], [`CertsError::Generate`], [`CertsError::Roster`].
    pub fn issue(&self, identity: &Identity, days: i64) -> Result<MemberFiles, CertsError> {
        let files = self.files_of(identity);
        pem::make_private_dir(&files.dir)?;
        let key = KeyPair::generate()?;
        let mut params = leaf_params(identity, &identity.uri(&self.name)?, days)?;
        params.is_ca = IsCa::ExplicitNoCa;
        let chain = if matches!(identity, Identity::Client(_)) {
            let pem_text = self.authority_file("clients.pem")?;
            let issuer = Issuer::from_ca_cert_pem(&pem_text, self.authority_key("clients.key")?)?;
            params.signed_by(&key, &issuer)?.pem() + &pem_text
        } else {
            let pem_text = String::from_utf8_lossy(&pem::read_file(&self.ca_file())?).into_owned();
            let issuer = Issuer::from_ca_cert_pem(&pem_text, self.authority_key("root.key")?)?;
            params.signed_by(&key, &issuer)?.pem()
        };
        pem::write_secret(&files.private_key, key.serialize_pem().as_bytes())?;
        pem::write_public(&files.certificate, chain.as_bytes())?;
        if let Identity::Bank(name) = identity {
            let mut roster = self.roster()?;
            if !roster.banks.contains_key(name) {
                roster.banks.insert(name.clone(), BankKeys::generate(&files.dir)?);
                roster.version += 1;
                let roster_key = keys::read_signing_key(&self.dir.join("authority/roster.key"))?;
                pem::write_public(&self.roster_file(), &roster.sign(&roster_key))?;
            }
        }
        Ok(files)
    }

    fn authority_file(&self, name: &str) -> Result<String, CertsError> {
        let bytes = pem::read_file(&self.dir.join("authority").join(name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn authority_key(&self, name: &str) -> Result<KeyPair, CertsError> {
        let bytes = pem::read_secret(&self.dir.join("authority").join(name))?;
        Ok(KeyPair::from_pem(&String::from_utf8_lossy(&bytes))?)
    }
}

/// Reads what members pin: the network's name and its roster key.
///
/// # Errors
/// [`CertsError::File`], [`CertsError::Empty`].
pub fn read_trust(path: &Path) -> Result<(String, PublicKey), CertsError> {
    let empty = || CertsError::Empty { path: path.to_owned(), what: "network name and roster key" };
    let trust: Trust = serde_json::from_slice(&pem::read_file(path)?).map_err(|_| empty())?;
    let key = from_hex(&trust.roster_key).and_then(|bytes| PublicKey::from_slice(&bytes).ok());
    Ok((trust.network, key.ok_or_else(empty)?))
}

fn authority_params(name: &str, days: i64, depth: BasicConstraints) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(depth);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, days);
    Ok(params)
}

fn leaf_params(identity: &Identity, uri: &str, days: i64) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(vec![identity.server_name().to_owned()])?;
    let uri = uri.to_owned().try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    params.distinguished_name = common_name(&identity.to_string());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = match identity {
        Identity::Bank(_) | Identity::Gateway(_) => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        Identity::Client(_) | Identity::Operator { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    set_validity(&mut params, days);
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn set_validity(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_after = now + Duration::days(days);
    params.not_before =
        (now - Duration::minutes(BACKDATE_MINUTES)).min(params.not_after - Duration::hours(1));
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Material;
    use strife_proto::commit::BankName;

    #[test]
    fn a_network_is_made_once_and_its_members_know_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::create(dir.path(), "demo").unwrap();
        assert!(matches!(Network::create(dir.path(), "demo"), Err(CertsError::Exists(_))));
        let bank = BankName::new("Bank1").unwrap();
        for identity in [
            Identity::Bank(bank.clone()),
            Identity::Gateway("g1".into()),
            Identity::Client("ann".into()),
            Identity::Operator { bank: bank.clone(), name: "op".into() },
        ] {
            let files = network.issue(&identity, LEAF_DAYS).unwrap();
            let ca = network.ca_file();
            let material =
                Material { authority: &ca, certificate: &files.certificate, private_key: &files.private_key };
            let own = material.own_identity().unwrap();
            assert_eq!((own.identity, own.network.as_str()), (identity, "demo"));
            material.client().unwrap();
            material.server().unwrap();
        }
        let roster = network.roster().unwrap();
        assert_eq!(roster.version, 2);
        let keys = BankKeys::load(&network.files_of(&Identity::Bank(bank.clone())).dir).unwrap();
        assert_eq!(roster.signing_key(&bank), Some(*keys.signing.public()));
        // a second certificate for the same bank keeps its keys
        network.issue(&Identity::Bank(bank.clone()), LEAF_DAYS).unwrap();
        assert_eq!(network.roster().unwrap(), roster);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let network = Network::create(dir.path(), "demo").unwrap();
        let files = network.issue(&Identity::Client("ann".into()), LEAF_DAYS).unwrap();
        std::fs::set_permissions(&files.private_key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = pem::read_private_key(&files.private_key).unwrap_err();
        assert!(error.to_string().contains("0640"), "{error}");
    }
}
