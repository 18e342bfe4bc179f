//! A gateway's settings.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::{
    LogSettings, Settings, SettingsError, TlsFiles, TrustFiles, check_address, check_bank_name, check_range,
};

/// A gateway's settings. Units stand at the end of each name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// Where clients connect.
    pub listen: String,
    /// Own certificate.
    pub tls: TlsFiles,
    /// What it believes.
    pub trust: TrustFiles,
    /// Where each bank listens: name = "host:port".
    pub banks: BTreeMap<String, String>,
    /// How long each phase of a transfer may take before it counts as unknown.
    pub timeouts: PhaseTimeouts,
    /// Finding what others left unfinished.
    pub resolver: ResolverSettings,
    /// How long a stop waits for calls in flight.
    pub drain_ms: u64,
    /// Log files.
    pub logs: LogSettings,
    /// Limits.
    pub limits: GatewayLimits,
}

/// How long each phase may take. A time-out means unknown, never failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseTimeouts {
    /// The payee's bank's vote.
    pub prepare_ms: u64,
    /// The payer's bank's decision, and an inquiry.
    pub decide_ms: u64,
    /// `Post`, `Release` and their acknowledgement.
    pub deliver_ms: u64,
    /// A TLS connection to a bank.
    pub connect_ms: u64,
    /// Log-in, log-out, history.
    pub rpc_ms: u64,
}

/// The resolver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolverSettings {
    /// How often each bank is asked.
    pub interval_ms: u64,
    /// A promise of this age is taken up.
    pub promise_age_ms_max: i64,
    /// How many are taken up at a time.
    pub unfinished_count_max: u32,
}

/// A gateway's limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayLimits {
    /// Protocol messages that wait for one bank's link; more are told to ask again.
    pub link_queue_max: usize,
    /// Messages in one frame.
    pub link_batch_max: usize,
    /// Log-ins of one client certificate in a minute.
    pub logins_per_minute_max: u32,
    /// `Watch` streams at a time.
    pub watches_max: usize,
    /// Streams of orders at a time.
    pub streams_max: usize,
    /// Transfers on their way at a time; more are told to come again.
    pub transfers_max: usize,
    /// Unary calls at a time.
    pub calls_max: usize,
}

impl Settings for GatewaySettings {
    const DEFAULTS: &'static str = include_str!("../defaults/gateway.toml");
    const ENV_PREFIX: &'static str = "STRIFE_GATEWAY_";

    fn rebase(&mut self, base: &Path) {
        self.tls.rebase(base);
        self.trust.rebase(base);
        self.logs.rebase(base);
    }

    fn validate(&self) -> Result<(), SettingsError> {
        check_address("listen", &self.listen)?;
        for (name, address) in &self.banks {
            check_bank_name("banks", name)?;
            check_address("banks", address)?;
        }
        let milliseconds = "1 to 600000";
        let timeouts = &self.timeouts;
        check_range("timeouts.prepare_ms", timeouts.prepare_ms, 1..=600_000, milliseconds)?;
        check_range("timeouts.decide_ms", timeouts.decide_ms, 1..=600_000, milliseconds)?;
        check_range("timeouts.deliver_ms", timeouts.deliver_ms, 1..=600_000, milliseconds)?;
        check_range("timeouts.connect_ms", timeouts.connect_ms, 1..=600_000, milliseconds)?;
        check_range("timeouts.rpc_ms", timeouts.rpc_ms, 1..=600_000, milliseconds)?;
        check_range("resolver.interval_ms", self.resolver.interval_ms, 1..=600_000, milliseconds)?;
        check_range(
            "resolver.promise_age_ms_max",
            self.resolver.promise_age_ms_max,
            0..=600_000,
            "0 to 600000",
        )?;
        check_range(
            "resolver.unfinished_count_max",
            self.resolver.unfinished_count_max,
            1..=500,
            "1 to 500",
        )?;
        check_range("drain_ms", self.drain_ms, 0..=600_000, "0 to 600000")?;
        self.logs.validate()?;
        check_range("limits.link_queue_max", self.limits.link_queue_max, 1..=1_048_576, "1 to 1048576")?;
        check_range("limits.link_batch_max", self.limits.link_batch_max, 1..=1024, "1 to 1024")?;
        check_range(
            "limits.logins_per_minute_max",
            self.limits.logins_per_minute_max,
            1..=1_000_000,
            "1 to 1000000",
        )?;
        check_range("limits.transfers_max", self.limits.transfers_max, 1..=1_000_000, "1 to 1000000")?;
        check_range("limits.streams_max", self.limits.streams_max, 1..=100_000, "1 to 100000")?;
        check_range("limits.watches_max", self.limits.watches_max, 1..=1_000_000, "1 to 1000000")?;
        check_range("limits.calls_max", self.limits.calls_max, 1..=1_000_000, "1 to 1000000")
    }
}
