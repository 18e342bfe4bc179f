//! From a network's folder to settings that load.

use std::os::unix::fs::PermissionsExt;

use strife_certs::authority::{LEAF_DAYS, Network};

use super::*;

fn network(dir: &Path) -> (Network, PathBuf) {
    crate::install_provider();
    let network = Network::create(dir, "demo").unwrap();
    let dir = network.issue(&Identity::Client("laptop".into()), LEAF_DAYS).unwrap().dir;
    (network, dir)
}

fn plan(files: Files, to: &Path) -> Plan {
    Plan {
        gateway: "127.0.0.1:7001".into(),
        files,
        config: to.join("config/client.toml"),
        data_dir: to.join("data \"quoted\""),
    }
}

#[test]
fn what_an_administrator_hands_out_becomes_settings_that_load() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_, client) = network(from.path());
    let files = find_files(&client).unwrap();
    assert_eq!(check_roster(&files.roster, &files.trust).unwrap(), ("demo".into(), vec![]));
    assert!(check_certificate(&files, "demo").unwrap().starts_with("client/laptop, until "));
    let plan = plan(files, to.path());
    install(&plan).unwrap();
    let settings = ClientSettings::load(&plan.config).unwrap();
    assert_eq!(settings.gateways, ["127.0.0.1:7001"]);
    assert_eq!(settings.data_dir, plan.data_dir);
    assert!(crate::api::Trust::load(&settings).is_ok(), "what was copied is whole");
    for (name, mode) in [("client.toml", 0o600), ("tls.key", 0o600), ("tls.pem", 0o600), ("ca.pem", 0o644)] {
        let data = std::fs::metadata(to.path().join("config").join(name)).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, mode, "{name}");
    }
    // settings are never overwritten, and what was there under another file's name is kept
    assert!(install(&plan).unwrap_err().contains("left as it is"));
    std::fs::remove_file(&plan.config).unwrap();
    std::fs::write(to.path().join("config/tls.key"), b"of somebody").unwrap();
    install(&plan).unwrap();
    let kept = std::fs::read_dir(to.path().join("config")).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.to_string_lossy().contains("tls.key.old-") && std::fs::read(path).unwrap() == b"of somebody"
    });
    assert!(kept);
}

#[test]
fn every_key_stands_in_the_file_with_its_default_and_uncommenting_changes_nothing() {
    let to = Path::new("/somewhere");
    let text = text(&plan(Files::default(), to), &Files::default()).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(text, uncommented);
    let (plain, full) = (settings_of(&text).unwrap(), settings_of(&uncommented).unwrap());
    assert_eq!(full.demo.as_deref(), Some(""));
    let same = |settings: &ClientSettings| {
        (
            settings.gateways.clone(),
            settings.keyring,
            settings.order_life_ms,
            settings.rpc_ms,
            settings.retry_ms_max,
        )
    };
    assert_eq!(same(&plain), same(&full));
    let defaults = ClientSettings::DEFAULTS.parse::<toml::Table>().unwrap();
    let table = uncommented.parse::<toml::Table>().unwrap();
    for (key, value) in &defaults {
        assert_eq!(table.get(key), Some(value), "{key}");
    }
}

#[test]
fn what_does_not_fit_together_is_named_at_its_file() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (network_one, laptop) = network(one.path());
    let (_, stranger) = network(two.path());
    let (files, others) = (find_files(&laptop).unwrap(), find_files(&stranger).unwrap());

    let wrong = check_roster(&others.roster, &files.trust).unwrap_err();
    assert!(wrong.0 == Which::First && wrong.1.contains("not signed by this network"), "{wrong:?}");
    assert_eq!(check_roster(&files.roster, &files.roster).unwrap_err().0, Which::Second);

    let with = |certificate: &Path, private_key: &Path| Files {
        certificate: certificate.into(),
        private_key: private_key.into(),
        ..files.clone()
    };
    let wrong = check_certificate(&with(&others.certificate, &others.private_key), "demo").unwrap_err();
    assert!(wrong.0 == Which::First && wrong.1.contains("not issued by this network"), "{wrong:?}");
    let wrong = check_certificate(&with(&files.certificate, &others.private_key), "demo").unwrap_err();
    assert_eq!(wrong, (Which::Second, "it is not the key of this certificate".into()));
    let wrong = check_certificate(&files, "other").unwrap_err();
    assert!(wrong.0 == Which::First && wrong.1.contains("network demo"), "{wrong:?}");
    let operator = Identity::Gateway("g1".into());
    let gateway = network_one.issue(&operator, LEAF_DAYS).unwrap();
    let wrong = check_certificate(&with(&gateway.certificate, &gateway.private_key), "demo").unwrap_err();
    assert!(wrong.1.contains("not of a client"), "{wrong:?}");
    std::fs::set_permissions(&files.private_key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let wrong = check_certificate(&files, "demo").unwrap_err();
    assert!(wrong.0 == Which::Second && wrong.1.contains("0644"), "{wrong:?}");

    std::fs::remove_file(&files.private_key).unwrap();
    assert_eq!(find_files(&laptop).unwrap_err(), "there is no tls.key in it");
    assert!(find_files(&files.certificate).unwrap_err().contains("no folder"));
}

#[test]
fn a_fingerprint_may_be_typed_in_any_usual_way() {
    assert!(same_fingerprint("ab cd:EF", "AB:CD:EF"));
    assert!(!same_fingerprint("", "AB:CD:EF"));
    assert!(!same_fingerprint("AB:CD", "AB:CD:EF"));
}
