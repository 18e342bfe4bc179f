//! What is printed: one line for each run, and the table of targets.

#![allow(clippy::float_arithmetic)] // ratios of measured times, never money

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::Work;
use crate::drive::Run;
use crate::floor::Floors;

/// One run, with the floors of the same machine in the same run.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// 1.
    version: u32,
    work: &'static str,
    in_flight: usize,
    calls: usize,
    window_ms: u128,
    per_second: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    max_us: u64,
    /// CPU of each process for each call, in microseconds.
    cpu_us: BTreeMap<&'static str, u64>,
    /// Handed to the disk by all processes for each call.
    bytes_written: u64,
    /// Flushes of the disk for a thousand calls; absent where the kernel does not count them.
    flushes_per_thousand: Option<u64>,
    conserved: bool,
    floors: &'a Floors,
}

impl Run {
    /// The run's line.
    pub(crate) fn against<'a>(&self, floors: &'a Floors) -> Line<'a> {
        let calls = self.timed.latencies_us.len();
        let each = |total: u64| total / u64::try_from(calls.max(1)).unwrap_or(u64::MAX);
        Line {
            version: 1,
            work: self.work.name(),
            in_flight: self.in_flight,
            calls,
            window_ms: self.timed.window.as_millis(),
            per_second: self.timed.per_second(),
            p50_us: self.timed.percentile_us(50),
            p90_us: self.timed.percentile_us(90),
            p99_us: self.timed.percentile_us(99),
            max_us: self.timed.percentile_us(100),
            cpu_us: self.used.iter().map(|(name, used)| (*name, each(used.cpu_us))).collect(),
            bytes_written: each(self.used.values().map(|used| used.bytes_written).sum()),
            flushes_per_thousand: self.flushes.map(|flushes| each(flushes * 1_000)),
            conserved: self.conserved,
            floors,
        }
    }
}

/// A target and how it stands.
pub(crate) struct Row {
    name: &'static str,
    measured: f64,
    target: f64,
    /// More is better.
    at_least: bool,
}

impl Row {
    /// The target is met.
    pub(crate) fn passes(&self) -> bool {
        if self.at_least { self.measured >= self.target } else { self.measured <= self.target }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, word) =
            (if self.at_least { "≥" } else { "≤" }, if self.passes() { "pass" } else { "short" });
        write!(f, "{word:5}  {:<58} {:>7.3}  {sign} {}", self.name, self.measured, self.target)
    }
}

/// The table of targets.
pub(crate) struct Table;

/// A figure as a ratio's half.
#[allow(clippy::cast_precision_loss)] // far below 2^52
fn figure(number: u64) -> f64 {
    number as f64
}

impl Table {
    /// What has to be run for it.
    pub(crate) const RUNS: [(Work, usize); 7] = [
        (Work::Interbank, 1),
        (Work::Interbank, 64),
        (Work::Interbank, 256),
        (Work::SameBank, 256),
        (Work::Balance, 256),
        (Work::HotPayee, 256),
        (Work::HotPayer, 256),
    ];

    /// Its rows, of the runs above in their order.
    pub(crate) fn of(runs: &[Run], floors: &Floors) -> Vec<Row> {
        let found = |work: Work, in_flight: usize| {
            runs.iter().find(|run| run.work == work && run.in_flight == in_flight)
        };
        let per_second = |work| figure(found(work, 256).map_or(0, |run| run.timed.per_second()));
        let echoes = figure(floors.echoes_per_second.get(&256).copied().unwrap_or(0)).max(1.0);
        let interbank = per_second(Work::Interbank).max(1.0);
        let alone = figure(found(Work::Interbank, 1).map_or(0, |run| run.timed.percentile_us(50)));
        let floor = (2.0 * figure(floors.append_p50_us) + 3.0 * figure(floors.echo_p50_us)).max(1.0);
        let at_least = |name, measured, target| Row { name, measured, target, at_least: true };
        let at_most = |name, measured, target| Row { name, measured, target, at_least: false };
        let mut rows = vec![
            at_least("interbank ÷ bare echoes, 256 in flight", interbank / echoes, 0.12),
            at_most("p50 of one interbank alone ÷ (2 appends + 3 echoes)", alone / floor, 1.4),
        ];
        let busy = found(Work::Interbank, 256);
        if let Some((run, flushes)) = busy.and_then(|run| Some((run, run.flushes?))) {
            let calls = figure(run.timed.latencies_us.len() as u64).max(1.0);
            rows.push(at_most(
                "disk flushes per interbank transfer, 256 in flight",
                figure(flushes) / calls,
                0.2,
            ));
        }
        rows.extend([
            at_least("same bank ÷ interbank", per_second(Work::SameBank) / interbank, 1.8),
            at_least("balance reads ÷ bare echoes", per_second(Work::Balance) / echoes, 0.4),
            at_least("hot payee ÷ spread accounts", per_second(Work::HotPayee) / interbank, 0.9),
        ]);
        rows
    }
}
