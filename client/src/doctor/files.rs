//! Settings, data folder, outbox, certificate, key, authority, roster.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use strife_certs::authority::read_trust;
use strife_certs::identity::Identity;
use strife_certs::inspect::{day_of, fingerprint};
use strife_certs::roster::Roster;
use strife_certs::tls::Material;
use strife_config::{ClientSettings, Settings, SettingsError};

use super::Finding;
use crate::outbox;

/// Fewer bytes than these free, and somebody should look.
const FREE_BYTES_MIN: u64 = 100 * 1024 * 1024;
/// Fewer than these, and the next order may not be kept.
const FREE_BYTES_NEEDED: u64 = 4 * 1024 * 1024;
/// Certificates that end sooner than this, in days, are named.
const CERTIFICATE_DAYS_MIN: i64 = 30;
const DAY_MS: i64 = 86_400_000;

pub(super) fn settings(file: &Path) -> Finding {
    const TOPIC: &str = "settings";
    let name = file.display();
    let settings = match ClientSettings::load(file) {
        Ok(settings) => settings,
        Err(SettingsError::NoFile(_)) => {
            return Finding::problem(
                TOPIC,
                format!("There is no settings file {name}."),
                "Start `strife` in a terminal: it asks for what it needs and writes the file. Or name another one \
                 with --config.",
            );
        }
        Err(error) => {
            return Finding::problem(
                TOPIC,
                format!("{name}: {error}."),
                "Correct that key in the file, or in the environment if it comes from there.",
            );
        }
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let keys: Vec<String> =
        text.parse::<toml::Table>().map(|table| table.keys().cloned().collect()).unwrap_or_default();
    let prefix = ClientSettings::ENV_PREFIX;
    let overridden: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    let overridden = match overridden.as_slice() {
        [] => String::new(),
        names => format!("; from the environment: {}", names.join(", ")),
    };
    Finding::good(
        TOPIC,
        format!(
            "{name} is read; it sets {}{overridden}; gateways: {}.",
            keys.join(", "),
            settings.gateways.join(", ")
        ),
    )
}

pub(super) fn data_dir(dir: &Path) -> Vec<Finding> {
    const TOPIC: &str = "data folder";
    let name = dir.display();
    let Ok(data) = std::fs::metadata(dir) else {
        let above = dir.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
        return vec![match access(above, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::good(TOPIC, format!("{name} is not there yet; the first start makes it.")),
            Err(why) => Finding::problem(
                TOPIC,
                format!("{name} is not there, and cannot be made in {}: {why}.", above.display()),
                "Set data_dir to a folder of yours, or make it there.",
            ),
        }];
    };
    if !data.is_dir() {
        let mend = "Set data_dir to a folder.";
        return vec![Finding::problem(TOPIC, format!("{name} is no folder."), mend)];
    }
    let mut findings = Vec::new();
    let mode = data.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        findings.push(Finding::warning(
            TOPIC,
            format!("{name} has mode {mode:04o}: others may look into it."),
            format!("chmod 700 {name}"),
        ));
    }
    if let Err(why) = access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        findings.push(Finding::problem(
            TOPIC,
            format!("{name} cannot be written: {why}. No order could be kept."),
            format!("Make it yours (chown, chmod 700 {name}), or set data_dir to a folder that is."),
        ));
    }
    if let Ok(space) = statvfs(dir) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let mib = free / (1024 * 1024);
        let mend = "Free some space; orders are kept here before they are sent.";
        if free < FREE_BYTES_NEEDED {
            findings.push(Finding::problem(TOPIC, format!("{name}: {mib} MiB are free."), mend));
        } else if free < FREE_BYTES_MIN {
            findings.push(Finding::warning(TOPIC, format!("{name}: {mib} MiB are free."), mend));
        } else if findings.is_empty() {
            findings.push(Finding::good(TOPIC, format!("{name} is private and writable, {mib} MiB free.")));
        }
    }
    findings
}

pub(super) fn outbox(dir: &Path) -> Finding {
    const TOPIC: &str = "outbox";
    let look = match outbox::look(dir) {
        Ok(look) => look,
        Err(error) => {
            return Finding::problem(
                TOPIC,
                format!("The outbox's journal cannot be read: {error}."),
                "Make the files in the data folder yours (chown, chmod 600).",
            );
        }
    };
    if !look.exists {
        return Finding::good(TOPIC, "There is none yet; the first start makes it.");
    }
    let counts: Vec<String> = look.orders.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { "no orders".to_owned() } else { counts.join(", ") };
    let open = if look.in_use { "; a Strife client has it open now" } else { "" };
    let says = format!("{counts}{open}.");
    let mended = "Nothing is lost: the next start of `strife` mends it and says what it did.";
    if look.unreadable > 0 {
        let says = format!("{says} {} entries cannot be read.", look.unreadable);
        return Finding::warning(TOPIC, says, format!("{mended} What it cannot read it keeps aside."));
    }
    match look.sled_trouble.filter(|_| !look.in_use) {
        Some(why) => {
            Finding::warning(TOPIC, format!("{says} Its sled store cannot be read ({why})."), mended)
        }
        None if look.sled_differs > 0 || look.torn => {
            let torn = if look.torn { " The journal's last line is cut off." } else { "" };
            let says = format!("{says} Journal and sled differ in {} orders.{torn}", look.sled_differs);
            Finding::warning(TOPIC, says, mended)
        }
        None => Finding::good(TOPIC, says),
    }
}

pub(super) fn certificate(settings: &ClientSettings, now_ms: i64) -> Vec<Finding> {
    const TOPIC: &str = "certificate";
    let material = material(settings);
    let renew = "Ask whoever runs the network for a new certificate (`strife-certs issue <folder> client <name>`), \
                 and put both files in the places that the settings name.";
    let file = settings.tls.certificate.display();
    let facts = match material.facts() {
        Ok(facts) => facts,
        Err(error) => return vec![Finding::problem(TOPIC, format!("{error}."), renew)],
    };
    let (from, until) = (day_of(facts.not_before_ms), day_of(facts.not_after_ms));
    let who = format!(
        "{file} is of {} in network {}, valid {from} to {until}",
        facts.peer.identity, facts.peer.network
    );
    let mut findings = Vec::new();
    let days_left = (facts.not_after_ms - now_ms).div_euclid(DAY_MS);
    if now_ms < facts.not_before_ms {
        let mend = "Set this machine's clock; the certificate's time has not come by it.";
        findings.push(Finding::problem("clock", format!("{who}: not valid yet."), mend));
    } else if now_ms >= facts.not_after_ms {
        findings.push(Finding::problem(TOPIC, format!("{who}: it has ended."), renew));
    } else if let Err(error) = material.check_issued(now_ms) {
        let says = format!("{who}; it was not issued by {}: {error}.", settings.trust.authority.display());
        findings.push(Finding::problem(TOPIC, says, renew));
    } else if !matches!(facts.peer.identity, Identity::Client(_)) {
        let mend = "Use a client's certificate here: `strife-certs issue <folder> client <name>`.";
        findings.push(Finding::problem(TOPIC, format!("{who}: not a client's."), mend));
    } else if days_left < CERTIFICATE_DAYS_MIN {
        findings.push(Finding::warning(TOPIC, format!("{who}: {days_left} days are left."), renew));
    } else {
        findings.push(Finding::good(TOPIC, format!("{who}; issued by the network.")));
    }
    let key = settings.tls.private_key.display();
    findings.push(match material.check_key() {
        Ok(()) => Finding::good("key", format!("{key} is private and the certificate's.")),
        Err(error @ strife_certs::CertsError::TooOpen { .. }) => Finding::problem(
            "key",
            format!("{error}."),
            format!("chmod 600 {key}; if somebody else may have read it, ask for a new certificate."),
        ),
        Err(error) => Finding::problem("key", format!("{key}: {error}."), renew),
    });
    findings
}

pub(super) fn trust(settings: &ClientSettings) -> Vec<Finding> {
    let ask = "Ask whoever runs the network for ca.pem, trust.json and roster.bin, and put them in the places that \
               the settings name.";
    let authority = &settings.trust.authority;
    let mut findings = vec![match fingerprint(authority) {
        Ok(print) => Finding::good("authority", format!("{}: SHA-256 {print}.", authority.display())),
        Err(error) => Finding::problem("authority", format!("{error}."), ask),
    }];
    let roster = read_trust(&settings.trust.trust)
        .and_then(|(network, key)| Roster::load(&settings.trust.roster, &network, &key));
    findings.push(match roster {
        Ok(roster) => {
            let banks: Vec<String> = roster.banks.keys().map(ToString::to_string).collect();
            let says = format!(
                "{} is signed by network {}, version {}; banks: {}.",
                settings.trust.roster.display(),
                roster.network,
                roster.version,
                banks.join(", ")
            );
            match material(settings).own_identity() {
                Ok(own) if own.network != roster.network => Finding::problem(
                    "roster",
                    format!("{says} The certificate is of network {}.", own.network),
                    ask,
                ),
                _ => Finding::good("roster", says),
            }
        }
        Err(error) => Finding::problem("roster", format!("{error}."), ask),
    });
    findings
}

fn material(settings: &ClientSettings) -> Material<'_> {
    Material {
        authority: &settings.trust.authority,
        certificate: &settings.tls.certificate,
        private_key: &settings.tls.private_key,
    }
}
