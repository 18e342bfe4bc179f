//! The line of JSON that is printed for each load: the figures, the floors of the same run, and what the daemons say
//! about themselves.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::meter::Batches;
use crate::ratio::{ratio, rounded};
use crate::rounds::{Load, Rounds};
use crate::settings::ReadBack;
use crate::slice::Slice;

/// One kind of work, with the floors of the same machine in the same run. Times are in microseconds; rates and
/// percentiles are the medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// 2.
    version: u32,
    work: &'static str,
    in_flight: usize,
    calls: u64,
    /// All windows together.
    window_ms: u128,
    /// Transfers or reads.
    per_second: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    /// The longest of all rounds.
    max_us: u64,
    /// From the last answer until nothing was on its way any more.
    settle_ms: u128,
    /// CPU of each process for each call, in microseconds.
    cpu_us: BTreeMap<&'a str, f64>,
    /// Handed to the disk by the servers for each call.
    bytes_written: u64,
    /// Flushes of the disk for each call, as the kernel counts them for the whole machine; absent where it does not.
    syncs: Option<f64>,
    /// What each bank appended to its journal.
    batches: BTreeMap<&'a str, BatchLine>,
    /// Lines of each daemon's RPC log for each call.
    rpc_lines: BTreeMap<&'a str, f64>,
    /// A run in which money was made or lost ends with an error and prints nothing.
    conserved: bool,
    floors: FloorLine<'a>,
    rounds: Vec<RoundLine>,
    settings: &'a ReadBack,
}

#[derive(Debug, Serialize)]
struct BatchLine {
    batches: u64,
    entries: u64,
    entries_per_batch: f64,
    /// For each call.
    per_call: f64,
}

#[derive(Debug, Serialize)]
struct FloorLine<'a> {
    echoes_per_second: Option<u64>,
    echo_alone_p50_us: Option<u64>,
    append_p50_us: Option<u64>,
    /// Flushes of the disk in a second of bare echoes, which are others' alone: they are in `syncs` too.
    others_syncs_per_second: Option<f64>,
    filesystem: &'a str,
}

#[derive(Debug, Serialize)]
struct RoundLine {
    per_second: u64,
    p50_us: u64,
    p99_us: u64,
    echoes_per_second: Option<u64>,
    echo_alone_p50_us: Option<u64>,
    append_p50_us: Option<u64>,
}

/// The line of a load; `None` for a floor, which stands on the lines of the others.
pub(crate) fn line<'a>(
    rounds: &'a Rounds,
    load: Load,
    settings: &'a ReadBack,
    filesystem: &'a str,
) -> Option<Line<'a>> {
    let (work, calls) = match load {
        Load::Echo(_) | Load::Append => return None,
        Load::Work(work, calls) => (work.name(), calls),
        Load::Postgres(calls) => ("postgres", calls),
    };
    let slices = rounds.of(load);
    let median = |figure: fn(&Slice) -> u64| rounds.median(load, figure).unwrap_or(0);
    let total = slices.iter().map(Slice::calls).sum();
    Some(Line {
        version: 2,
        work,
        in_flight: calls,
        calls: total,
        window_ms: slices.iter().map(|slice| slice.window.as_millis()).sum(),
        per_second: median(Slice::per_second),
        p50_us: median(|slice| slice.percentile_us(50)),
        p90_us: median(|slice| slice.percentile_us(90)),
        p99_us: median(|slice| slice.percentile_us(99)),
        max_us: slices.iter().map(|slice| slice.percentile_us(100)).max().unwrap_or(0),
        settle_ms: slices.iter().map(|slice| slice.settle.as_millis()).max().unwrap_or(0),
        cpu_us: each(slices, total, |slice| &slice.spent.used, |used| used.cpu_us),
        bytes_written: slices.iter().map(|slice| slice.spent.servers_bytes()).sum::<u64>() / total.max(1),
        syncs: syncs(slices).map(rounded),
        batches: batches(slices, total),
        rpc_lines: each(slices, total, |slice| &slice.spent.rpc_lines, |lines| *lines),
        conserved: true,
        floors: FloorLine {
            echoes_per_second: rounds.median(load.echo(), Slice::per_second),
            echo_alone_p50_us: rounds.median(Load::Echo(1), |slice| slice.percentile_us(50)),
            append_p50_us: rounds.median(Load::Append, |slice| slice.percentile_us(50)),
            others_syncs_per_second: others_syncs(rounds.of(Load::Echo(1))).map(rounded),
            filesystem,
        },
        rounds: (0..slices.len()).filter_map(|round| one(rounds, load, round)).collect(),
        settings,
    })
}

/// Flushes of the disk for each call over some slices, where the kernel counts them.
pub(crate) fn syncs(slices: &[Slice]) -> Option<f64> {
    let flushes: Option<u64> = slices.iter().map(|slice| slice.spent.flushes).sum();
    flushes.map(|flushes| ratio(flushes, slices.iter().map(Slice::calls).sum()))
}

fn others_syncs(echoes: &[Slice]) -> Option<f64> {
    let flushes: Option<u64> = echoes.iter().map(|slice| slice.spent.flushes).sum();
    let millis: u128 = echoes.iter().map(|slice| slice.window.as_millis()).sum();
    flushes.map(|flushes| ratio(flushes * 1_000, u64::try_from(millis).unwrap_or(u64::MAX)))
}

fn one(rounds: &Rounds, load: Load, round: usize) -> Option<RoundLine> {
    let slice = rounds.of(load).get(round)?;
    let floor = |load| rounds.of(load).get(round);
    Some(RoundLine {
        per_second: slice.per_second(),
        p50_us: slice.percentile_us(50),
        p99_us: slice.percentile_us(99),
        echoes_per_second: floor(load.echo()).map(Slice::per_second),
        echo_alone_p50_us: floor(Load::Echo(1)).map(|slice| slice.percentile_us(50)),
        append_p50_us: floor(Load::Append).map(|slice| slice.percentile_us(50)),
    })
}

/// A figure of each name over all slices, for each call.
fn each<'a, T: 'a>(
    slices: &'a [Slice],
    calls: u64,
    figures: impl Fn(&'a Slice) -> &'a BTreeMap<String, T>,
    figure: impl Fn(&T) -> u64,
) -> BTreeMap<&'a str, f64> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for (name, value) in slices.iter().flat_map(figures) {
        *sums.entry(name).or_default() += figure(value);
    }
    sums.into_iter().map(|(name, sum)| (name, rounded(ratio(sum, calls)))).collect()
}

fn batches(slices: &[Slice], calls: u64) -> BTreeMap<&str, BatchLine> {
    let mut sums = BTreeMap::<&str, Batches>::new();
    for (name, one) in slices.iter().flat_map(|slice| &slice.spent.batches) {
        let sum = sums.entry(name).or_default();
        sum.batches += one.batches;
        sum.entries += one.entries;
    }
    let line = |Batches { batches, entries }| BatchLine {
        batches,
        entries,
        entries_per_batch: rounded(ratio(entries, batches)),
        per_call: rounded(ratio(batches, calls)),
    };
    sums.into_iter().map(|(name, sum)| (name, line(sum))).collect()
}
