//! The peer that the network is measured against: two PostgreSQL clusters with two-phase commit, as a good engineer
//! would drive them. Nothing here may be slower than it has to be.

mod cluster;
mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

pub(crate) use cluster::Binaries;
use cluster::Cluster;
use transfer::Side;

use crate::meter::{DRIVER, Meter};
use crate::slice::Slice;
use crate::timed::{in_flight, micros};

/// Accounts of each cluster, among which payers and payees are drawn, and what is on each, in cents.
const ACCOUNTS: i32 = 1_000;
const MONEY: i64 = 1_000_000_000;

/// Two clusters, with a pair of connections for each transfer that is in flight.
pub(crate) struct Peer {
    clusters: [Cluster; 2],
    pairs: Arc<Vec<[Side; 2]>>,
    next_id: Arc<AtomicI64>,
    retries: Arc<AtomicU64>,
}

impl Peer {
    /// Makes and starts both clusters in new folders, with default settings but for the numbers of connections and of
    /// prepared transactions.
    ///
    /// # Errors
    /// Something does not start.
    pub(crate) async fn start(binaries: &Binaries, parent: &Path, pairs: usize) -> anyhow::Result<Self> {
        let start = |name| Cluster::start(binaries, parent, name, pairs);
        let clusters = [start("postgres1")?, start("postgres2")?];
        let mut sides = Vec::with_capacity(pairs);
        for cluster in &clusters {
            cluster.create_tables(ACCOUNTS, MONEY).await?;
        }
        for _ in 0..pairs {
            let [one, two] = &clusters;
            sides.push([
                Side::prepare(one.connect().await?).await?,
                Side::prepare(two.connect().await?).await?,
            ]);
        }
        let (next_id, retries) = (Arc::new(AtomicI64::new(0)), Arc::default());
        Ok(Self { clusters, pairs: Arc::new(sides), next_id, retries })
    }

    /// Drives transfers for a slice, so many in flight, and counts everything afterwards.
    ///
    /// # Errors
    /// A transfer fails, money was made or lost, or a transaction is left in doubt.
    pub(crate) async fn slice(&self, calls: usize, window: Duration) -> anyhow::Result<Slice> {
        let (meter, before) = (self.meter(), self.done().await?);
        let reading = meter.read()?;
        let (pairs, next_id, retries) = (self.pairs.clone(), self.next_id.clone(), self.retries.clone());
        ensure!(calls <= pairs.len(), "{calls} transfers in flight want as many pairs of connections");
        let mut timed = in_flight(calls, window, move |worker, _| {
            let (pairs, retries) = (pairs.clone(), retries.clone());
            let id = next_id.fetch_add(1, Ordering::Relaxed);
            async move {
                let pair = pairs.get(worker).context("no such pair of connections")?;
                Ok(micros(transfer::carry_out(pair, id, ACCOUNTS, &retries).await?))
            }
        })
        .await?;
        let spent = meter.since(&reading)?;
        let done = self.done().await?;
        let sent = timed.answers.len() as i64;
        ensure!(done - before == sent, "{sent} transfers were made and {} are recorded", done - before);
        // what the client waits for is the decision; the rest of the transfer is in the rate alone
        timed.latencies_us = timed.answers.iter().map(|(_, decided)| *decided).collect();
        timed.latencies_us.sort_unstable();
        Ok(Slice { spent, ..Slice::of(timed) })
    }

    /// Transfers that began anew because their rows were locked the other way round.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// The transfers that are decided, with everything counted.
    async fn done(&self) -> anyhow::Result<i64> {
        let mut money = 0;
        let (mut recorded, mut decided) = (Vec::new(), 0);
        for cluster in &self.clusters {
            let books = cluster.books().await?;
            ensure!(books.in_doubt == 0, "{} transactions are in doubt", books.in_doubt);
            money += books.money;
            recorded.push(books.transfers);
            decided += books.decisions;
        }
        let all = i64::from(ACCOUNTS) * MONEY * 2;
        ensure!(money == all, "money was made or lost: {all} cents became {money}");
        ensure!(
            recorded.iter().all(|count| *count == decided),
            "{decided} decisions, {recorded:?} transfers"
        );
        Ok(decided)
    }

    fn meter(&self) -> Meter {
        let processes = vec![(DRIVER.to_owned(), std::process::id())];
        let families = self.clusters.iter().map(Cluster::process).collect();
        let dir = self.clusters[0].dir().to_owned();
        Meter { processes, families, journals: Vec::new(), logs: Vec::new(), dir }
    }
}
