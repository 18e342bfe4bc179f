//! Typed settings of the daemons and the client: shipped defaults < file < environment, then validated as a
//! whole. A bad value ends the start with its key, its value and what is allowed.
//!
//! What must never: reading certificates, opening ports, anything but reading settings.
//!
//! In the environment a key `limits.batch_commands_max` of a bank is `STRIFE_BANK_LIMITS__BATCH_COMMANDS_MAX`;
//! gateways read `STRIFE_GATEWAY_…`, clients `STRIFE_CLIENT_…`. Paths in a file are relative to that file.

mod bank;
mod client;
mod common;
mod gateway;
mod screen;

pub use bank::{BankLimits, BankSettings};
pub use client::ClientSettings;
pub use common::{LogFormat, LogSettings, TlsFiles, TrustFiles};
pub use gateway::{GatewayLimits, GatewaySettings, PhaseTimeouts, ResolverSettings};
pub use screen::{Borders, Notifications, ScreenSettings, ThemeName};

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key that is unknown, missing, or of another type.
    #[error("settings: {}", without_profile(.0))]
    Shape(Box<figment::Error>),
    /// A value that is not allowed.
    #[error("settings: `{key}` is {value}; allowed: {allowed}")]
    Value {
        /// The key, with dots.
        key: &'static str,
        /// What was given.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// The file is not there.
    #[error("settings: there is no file {}", .0.display())]
    NoFile(PathBuf),
}

/// What figment says, without the name of the one profile that there is.
fn without_profile(error: &figment::Error) -> String {
    error.to_string().replace("\"default.", "\"")
}

/// Settings that can be loaded and checked.
pub trait Settings: DeserializeOwned {
    /// The shipped defaults, with a comment for each key.
    const DEFAULTS: &'static str;
    /// What the environment's variables begin with.
    const ENV_PREFIX: &'static str;

    /// Makes relative paths relative to `base`.
    fn rebase(&mut self, base: &Path);

    /// Remembers the file, where that is of use.
    fn read_from(&mut self, _: &Path) {}

    /// Checks every value.
    ///
    /// # Errors
    /// The first [`SettingsError::Value`].
    fn validate(&self) -> Result<(), SettingsError>;

    /// Reads defaults, then the file, then the environment, and checks the whole.
    ///
    /// # Errors
    /// [`SettingsError`], with key, value and what is allowed.
    fn load(file: &Path) -> Result<Self, SettingsError> {
        if !file.is_file() {
            return Err(SettingsError::NoFile(file.to_owned()));
        }
        let figment = Figment::from(Toml::string(Self::DEFAULTS))
            .merge(Toml::file_exact(file))
            .merge(Env::prefixed(Self::ENV_PREFIX).split("__"));
        let mut settings: Self = figment.extract().map_err(|error| SettingsError::Shape(Box::new(error)))?;
        settings.rebase(file.parent().unwrap_or(Path::new(".")));
        settings.read_from(file);
        settings.validate()?;
        Ok(settings)
    }
}

fn rebase(path: &mut PathBuf, base: &Path) {
    if path.is_relative() {
        *path = base.join(&*path);
    }
}

/// Checks that a number lies in a range.
fn check_range<T>(
    key: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), SettingsError>
where
    T: PartialOrd + std::fmt::Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(SettingsError::Value { key, value: value.to_string(), allowed })
}

fn check_bank_name(key: &'static str, name: &str) -> Result<(), SettingsError> {
    strife_proto::commit::BankName::new(name).map(|_| ()).map_err(|_| SettingsError::Value {
        key,
        value: format!("{name:?}"),
        allowed: "1 to 32 ASCII letters, digits or hyphens, starting with a letter",
    })
}

fn check_address(key: &'static str, address: &str) -> Result<(), SettingsError> {
    let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(SettingsError::Value {
            key,
            value: format!("{address:?}"),
            allowed: "host:port, as in 127.0.0.1:7001",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = r#"
        listen = "127.0.0.1:7000"
        tls = { certificate = "tls.pem", private_key = "/abs/tls.key" }
        trust = { authority = "ca.pem", trust = "trust.json", roster = "roster.bin" }
        banks = { Bank1 = "127.0.0.1:7001" }
        logs = { dir = "logs" }
    "#;

    fn load(text: &str) -> Result<GatewaySettings, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = GatewaySettings::load(&file).map_err(|error| error.to_string());
        loaded.inspect(|settings| {
            assert_eq!(settings.tls.certificate, dir.path().join("tls.pem"));
            assert_eq!(settings.tls.private_key, Path::new("/abs/tls.key"));
        })
    }

    #[test]
    fn a_file_overrides_the_shipped_defaults() {
        let settings = load(GATEWAY).unwrap();
        assert_eq!(settings.timeouts.prepare_ms, 5_000);
        let settings = load(&format!("{GATEWAY}\n[timeouts]\nprepare_ms = 7")).unwrap();
        assert_eq!((settings.timeouts.prepare_ms, settings.timeouts.decide_ms), (7, 5_000));
    }

    #[test]
    fn a_bad_value_is_named_with_key_value_and_what_is_allowed() {
        for (extra, needles) in [
            ("[timeouts]\nprepare_ms = 0", ["timeouts.prepare_ms", "is 0", "1 to 600000"]),
            ("[timeouts]\nprepare_ms = \"soon\"", ["timeouts.prepare_ms", "soon", "u64"]),
            ("[timeouts]\nprepair_ms = 5", ["prepair_ms", "unknown", "expected"]),
            ("drain_ms = 900000000", ["drain_ms", "900000000", "0 to 600000"]),
        ] {
            let text = if extra.starts_with('[') {
                format!("{GATEWAY}\n{extra}")
            } else {
                format!("{extra}\n{GATEWAY}")
            };
            let error = load(&text).unwrap_err();
            for needle in needles {
                assert!(error.contains(needle), "{needle} not in: {error}");
            }
        }
        let error = load(&GATEWAY.replace("127.0.0.1:7001", "nowhere")).unwrap_err();
        assert!(error.contains("nowhere") && error.contains("host:port"), "{error}");
        assert!(GatewaySettings::load(Path::new("/nonexistent/x.toml")).is_err());
    }

    #[test]
    fn shipped_defaults_need_only_what_each_file_says() {
        let dir = tempfile::tempdir().unwrap();
        let common = r#"
            tls = { certificate = "a", private_key = "b" }
            trust = { authority = "c", trust = "d", roster = "e" }
            data_dir = "data"
        "#;
        let bank = dir.path().join("bank.toml");
        let own = r#"name = "Bank1"
            listen = "127.0.0.1:1"
            admin_listen = "127.0.0.1:2"
            keys_dir = "k"
            logs = { dir = "l" }"#;
        std::fs::write(&bank, format!("{own}\n{common}")).unwrap();
        BankSettings::load(&bank).unwrap();
        let client = dir.path().join("client.toml");
        std::fs::write(&client, format!("gateways = [\"127.0.0.1:1\"]\n{common}")).unwrap();
        ClientSettings::load(&client).unwrap();
    }

    #[test]
    fn a_command_takes_one_key_or_a_list_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("client.toml");
        let load = |keys: &str| {
            let text = format!(
                r#"
                gateways = ["127.0.0.1:1"]
                tls = {{ certificate = "a", private_key = "b" }}
                trust = {{ authority = "c", trust = "d", roster = "e" }}
                data_dir = "data"
                [screen.keys]
                {keys}
                "#
            );
            std::fs::write(&file, text).unwrap();
            ClientSettings::load(&file).map_err(|error| error.to_string())
        };
        let keys = load("quit = \"Q\"\npay = [\"p\", \"F2\"]").unwrap().screen.keys;
        assert_eq!(
            (&keys["quit"], &keys["pay"]),
            (&vec!["Q".to_owned()], &vec!["p".to_owned(), "F2".into()])
        );
        let error = load("quit = 7").unwrap_err();
        for needle in ["screen.keys.quit", "7", "a key or a list of keys"] {
            assert!(error.contains(needle), "{needle} not in: {error}");
        }
    }
}
