//! The client's settings.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    ScreenSettings, Settings, SettingsError, TlsFiles, TrustFiles, check_address, check_range, rebase,
};

/// The client's settings. Units stand at the end of each name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Addresses of gateways, the preferred one first.
    pub gateways: Vec<String>,
    /// Own certificate.
    pub tls: TlsFiles,
    /// What it believes.
    pub trust: TrustFiles,
    /// The outbox and, where no keyring answers, the device key.
    pub data_dir: PathBuf,
    /// Whether the OS keyring may be used for the device key.
    pub keyring: bool,
    /// How long an order may stay undecided.
    pub order_life_ms: i64,
    /// How long one call may take.
    pub rpc_ms: u64,
    /// First wait before an order is sent again; doubled each time, with jitter.
    pub retry_ms_min: u64,
    /// Longest such wait.
    pub retry_ms_max: u64,
    /// Shown on the log-in screen, for a rehearsal network.
    pub demo: Option<String>,
    /// How the screen looks and behaves.
    pub screen: ScreenSettings,
    /// The file that these were read from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Settings for ClientSettings {
    const DEFAULTS: &'static str = include_str!("../defaults/client.toml");
    const ENV_PREFIX: &'static str = "STRIFE_CLIENT_";

    fn rebase(&mut self, base: &Path) {
        rebase(&mut self.data_dir, base);
        self.tls.rebase(base);
        self.trust.rebase(base);
    }

    fn read_from(&mut self, file: &Path) {
        self.file = Some(file.to_owned());
    }

    fn validate(&self) -> Result<(), SettingsError> {
        if self.gateways.is_empty() {
            return Err(SettingsError::Value {
                key: "gateways",
                value: "empty".into(),
                allowed: "at least one host:port",
            });
        }
        self.gateways.iter().try_for_each(|address| check_address("gateways", address))?;
        check_range(
            "order_life_ms",
            self.order_life_ms,
            1_000..=31_622_400_000,
            "1000 to 31622400000 (366 days)",
        )?;
        check_range("rpc_ms", self.rpc_ms, 1..=600_000, "1 to 600000")?;
        check_range("retry_ms_min", self.retry_ms_min, 1..=600_000, "1 to 600000")?;
        check_range(
            "retry_ms_max",
            self.retry_ms_max,
            self.retry_ms_min..=3_600_000,
            "retry_ms_min to 3600000",
        )?;
        self.screen.validate()
    }
}
