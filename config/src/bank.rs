//! A bank's settings.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    LogSettings, Settings, SettingsError, TlsFiles, TrustFiles, check_address, check_bank_name, check_range,
    rebase,
};

/// A bank's settings. Units stand at the end of each name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankSettings {
    /// The bank's name in the roster.
    pub name: String,
    /// Where gateways connect.
    pub listen: String,
    /// Where this bank's operators connect.
    pub admin_listen: String,
    /// Journal and projections; locked while the bank runs.
    pub data_dir: PathBuf,
    /// Where `signing.key`, `sealing.key` and `token.key` are.
    pub keys_dir: PathBuf,
    /// Own certificate.
    pub tls: TlsFiles,
    /// What it believes.
    pub trust: TrustFiles,
    /// How long a session lasts.
    pub session_ms: i64,
    /// How far ahead an order may expire.
    pub order_life_ms_max: i64,
    /// How long a stop waits for calls in flight.
    pub drain_ms: u64,
    /// Journal entries after which the next snapshot is taken.
    pub snapshot_entries: u64,
    /// Log files.
    pub logs: LogSettings,
    /// Limits.
    pub limits: BankLimits,
}

/// A bank's limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankLimits {
    /// Commands in one durable commit.
    pub batch_commands_max: usize,
    /// Commands that wait for the writer; more are told to ask again.
    pub queue_commands_max: usize,
    /// Promises for one payer account that are not decided yet.
    pub promises_per_payer_max: usize,
    /// Password checks at a time.
    pub password_checks_max: usize,
    /// Failed log-ins for one person in a minute before more are refused unread.
    pub login_failures_per_minute_max: u32,
    /// How long a history page waits for its projection.
    pub history_wait_ms: u64,
    /// `Watch` streams at a time.
    pub watches_max: usize,
    /// Unary calls at a time.
    pub calls_max: usize,
}

impl Settings for BankSettings {
    const DEFAULTS: &'static str = include_str!("../defaults/bank.toml");
    const ENV_PREFIX: &'static str = "STRIFE_BANK_";

    fn rebase(&mut self, base: &Path) {
        rebase(&mut self.data_dir, base);
        rebase(&mut self.keys_dir, base);
        self.tls.rebase(base);
        self.trust.rebase(base);
        self.logs.rebase(base);
    }

    fn validate(&self) -> Result<(), SettingsError> {
        check_bank_name("name", &self.name)?;
        check_address("listen", &self.listen)?;
        check_address("admin_listen", &self.admin_listen)?;
        check_range("session_ms", self.session_ms, 1_000..=86_400_000, "1000 to 86400000 (a day)")?;
        check_range(
            "order_life_ms_max",
            self.order_life_ms_max,
            1_000..=31_622_400_000,
            "1000 to 31622400000 (366 days)",
        )?;
        check_range("drain_ms", self.drain_ms, 0..=600_000, "0 to 600000")?;
        check_range("snapshot_entries", self.snapshot_entries, 10..=1_000_000_000, "10 to 1000000000")?;
        self.logs.validate()?;
        let limits = &self.limits;
        check_range("limits.batch_commands_max", limits.batch_commands_max, 1..=65_536, "1 to 65536")?;
        check_range("limits.queue_commands_max", limits.queue_commands_max, 1..=1_048_576, "1 to 1048576")?;
        check_range(
            "limits.promises_per_payer_max",
            limits.promises_per_payer_max,
            1..=1_000_000,
            "1 to 1000000",
        )?;
        check_range("limits.password_checks_max", limits.password_checks_max, 1..=64, "1 to 64")?;
        check_range(
            "limits.login_failures_per_minute_max",
            limits.login_failures_per_minute_max,
            1..=10_000,
            "1 to 10000",
        )?;
        check_range("limits.history_wait_ms", limits.history_wait_ms, 1..=60_000, "1 to 60000")?;
        check_range("limits.watches_max", limits.watches_max, 1..=1_000_000, "1 to 1000000")?;
        check_range("limits.calls_max", limits.calls_max, 1..=1_000_000, "1 to 1000000")
    }
}
