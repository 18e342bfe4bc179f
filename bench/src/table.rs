//! The table of targets: ratios in one run, each the median of the rounds' own.

use std::fmt;

use crate::Work;
use crate::ratio::{ratio, rounded};
use crate::report::syncs;
use crate::rounds::{Load, Rounds};

/// What must hold of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

/// A figure, and what must hold of it.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What it is, where a row has several.
    pub name: &'static str,
    /// As measured.
    pub measured: f64,
    /// What must hold.
    pub target: Target,
}

/// A row: a target and how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is compared.
    pub name: &'static str,
    /// All of these must hold; or why there are none.
    pub figures: Result<Vec<Figure>, String>,
}

impl Target {
    fn holds(self, measured: f64) -> bool {
        match self {
            Target::AtLeast(target) => measured >= target,
            Target::AtMost(target) => measured <= target,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtLeast(target) => write!(f, "≥ {target}"),
            Target::AtMost(target) => write!(f, "≤ {target}"),
        }
    }
}

impl Row {
    /// A row of one figure; without one it is skipped, and says why.
    pub(crate) fn of(name: &'static str, target: Target, measured: Option<f64>, without: &str) -> Self {
        let figure = measured.map(|measured| vec![Figure { name: "", measured, target }]);
        Self { name, figures: figure.ok_or_else(|| without.to_owned()) }
    }

    /// A target is not met.
    pub(crate) fn is_short(&self) -> bool {
        let short = |figure: &Figure| !figure.target.holds(figure.measured);
        self.figures.as_ref().is_ok_and(|figures| figures.iter().any(short))
    }

    /// It could not be measured.
    pub(crate) fn is_skipped(&self) -> bool {
        self.figures.is_err()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = match &self.figures {
            Ok(figures) => figures,
            Err(why) => return write!(f, "skipped  {:<58} {why}", self.name),
        };
        write!(f, "{:<7}  {:<58}", if self.is_short() { "short" } else { "pass" }, self.name)?;
        for (place, figure) in figures.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma} {}{} ({})", figure.name, rounded(figure.measured), figure.target)?;
        }
        Ok(())
    }
}

/// Calls in flight where the network is busy.
pub(crate) const BUSY: usize = 256;
/// Calls in flight beside the peer.
pub(crate) const BESIDE_PEER: usize = 64;
/// A third.
const PEER_P99_MAX: f64 = 0.333;
const INTERBANK: Load = Load::Work(Work::Interbank, BUSY);
const ECHO: Load = Load::Echo(BUSY);
/// So many orders of the stream are not answered.
const BULK: Load = Load::Work(Work::Bulk, 1024);

/// What has to be run for the table, neighbours beside each other, and the kinds of work that have no row.
pub(crate) fn loads(with_peer: bool) -> Vec<Load> {
    let mut loads = vec![
        Load::Echo(1),
        Load::Append,
        Load::Work(Work::Interbank, 1),
        Load::Work(Work::HotPayee, BUSY),
        Load::Work(Work::SameBank, BUSY),
        INTERBANK,
        ECHO,
        BULK,
        Load::Work(Work::Balance, BUSY),
        Load::Work(Work::History, BUSY),
        Load::Work(Work::HotPayer, BUSY),
        Load::Echo(BESIDE_PEER),
        Load::Work(Work::Interbank, BESIDE_PEER),
    ];
    if with_peer {
        loads.push(Load::Postgres(BESIDE_PEER));
    }
    loads
}

/// The table's rows.
pub(crate) fn rows(rounds: &Rounds, no_peer: Option<&str>) -> Vec<Row> {
    let faster = |a, b| rounds.compare([a, b], |a, b| ratio(a.per_second(), b.per_second()));
    let work = |work| Load::Work(work, BUSY);
    let not_run = "it was not run";
    vec![
        Row::of(
            "interbank ÷ bare echoes, 256 in flight",
            Target::AtLeast(0.12),
            faster(INTERBANK, ECHO),
            not_run,
        ),
        Row::of(
            "p50 of one interbank alone ÷ (2 appends + 3 echoes)",
            Target::AtMost(1.4),
            alone(rounds),
            not_run,
        ),
        Row::of(
            "syncs per interbank transfer, both banks, 256 in flight",
            Target::AtMost(0.2),
            syncs(rounds.of(INTERBANK)),
            "this kernel does not count the flushes of this disk",
        ),
        Row::of(
            "same bank ÷ interbank",
            Target::AtLeast(1.8),
            faster(work(Work::SameBank), INTERBANK),
            not_run,
        ),
        Row::of(
            "balance reads ÷ bare echoes",
            Target::AtLeast(0.4),
            faster(work(Work::Balance), ECHO),
            not_run,
        ),
        Row::of(
            "hot payee account ÷ spread accounts",
            Target::AtLeast(0.9),
            faster(work(Work::HotPayee), INTERBANK),
            not_run,
        ),
        Row::of(
            "bulk over one stream ÷ bare echoes, 256 in flight",
            Target::AtLeast(0.4),
            faster(BULK, ECHO),
            not_run,
        ),
        peer(rounds, BESIDE_PEER, no_peer),
    ]
}

/// The network beside two PostgreSQL clusters, so many in flight; skipped where there are none.
pub(crate) fn peer(rounds: &Rounds, calls: usize, missing: Option<&str>) -> Row {
    let pair = [Load::Work(Work::Interbank, calls), Load::Postgres(calls)];
    let faster = rounds.compare(pair, |a, b| ratio(a.per_second(), b.per_second()));
    let slowest = rounds.compare(pair, |a, b| ratio(a.percentile_us(99), b.percentile_us(99)));
    let figure = |name, measured, target| Figure { name, measured, target };
    let figures = faster.zip(slowest).map(|(faster, slowest)| {
        vec![
            figure("rate ", faster, Target::AtLeast(4.0)),
            figure("p99 ", slowest, Target::AtMost(PEER_P99_MAX)),
        ]
    });
    let name = "interbank ÷ two PostgreSQL clusters with two-phase commit";
    Row { name, figures: figures.ok_or_else(|| missing.unwrap_or("it was not run").to_owned()) }
}

/// A transfer alone in parts of what it cannot do without: two synced appends and three echoes, of the same round.
fn alone(rounds: &Rounds) -> Option<f64> {
    let p50 = |load: Load| rounds.of(load).iter().map(|slice| slice.percentile_us(50));
    let floors = p50(Load::Append).zip(p50(Load::Echo(1))).map(|(append, echo)| 2 * append + 3 * echo);
    let transfers = p50(Load::Work(Work::Interbank, 1));
    crate::slice::median(transfers.zip(floors).map(|(transfer, floor)| ratio(transfer, floor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_short_if_one_of_its_figures_is() {
        let figure = |measured, target| Figure { name: "", measured, target };
        let met = figure(5.0, Target::AtLeast(4.0));
        let row = |figures| Row { name: "a ÷ b", figures };
        assert!(!row(Ok(vec![met.clone()])).is_short());
        assert!(row(Ok(vec![met, figure(0.5, Target::AtMost(0.34))])).is_short());
        let skipped = row(Err("not here".into()));
        assert!(skipped.is_skipped() && !skipped.is_short());
        assert!(skipped.to_string().starts_with("skipped") && skipped.to_string().ends_with("not here"));
    }
}
