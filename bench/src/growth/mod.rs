//! Growth: whether a transfer and a page of history cost more where there is more of everything. Two networks run at the
//! same time, one small and one large, and take turns; what is compared is measured within seconds.
//!
//! Only the first bank of a network is filled. Banks are compared at as many calls in flight for each bank.

pub(crate) mod maker;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use strife_client::AccountNumber;
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;

pub(crate) use maker::{Fill, fill};

use crate::Work;
use crate::kernel::resident_kib;
use crate::people::{self, AUTHORIZATION, People, Person};
use crate::ratio::{ratio, rounded};
use crate::rounds::{Load, Rig};
use crate::slice::{Slice, median};
use crate::table::{Figure, Row, Target};
use crate::timed::in_flight;
use crate::world::{World, itself};

/// No cost may grow by more.
const GROWTH_MAX: f64 = 1.5;
/// Memory of a bank, in MiB.
const RESIDENT_MIB_MAX: f64 = 300.0;
/// Calls in flight for each bank.
const CALLS_PER_BANK: usize = 16;
/// Movements on a page.
const PAGE: u32 = 50;
/// Movements on the pages that are turned on the way to a deep one.
const WIDE_PAGE: u32 = 200;

/// How large the large ones are, and the small ones.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// (--growth) Accounts of a large bank.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// (--growth) Entries of a long journal.
    #[arg(long, default_value_t = 10_000_000)]
    entries: u64,
    /// (--growth) The page of a long history that is compared with the first.
    #[arg(long, default_value_t = 10_000)]
    page: u32,
    /// (--growth) Banks of a large network.
    #[arg(long, default_value_t = 20)]
    banks: usize,
    /// (--growth) Accounts of a small bank.
    #[arg(long, default_value_t = 1_000)]
    accounts_small: u64,
    /// (--growth) This alone.
    #[arg(long)]
    of: Option<Factor>,
}

/// What there is more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Factor {
    /// Accounts at a bank.
    Accounts,
    /// Entries of a journal, and movements on an account.
    Entries,
    /// Banks of the network.
    Banks,
}

/// What one comparison came to: medians of the rounds.
#[derive(Debug, Serialize)]
struct Line {
    factor: &'static str,
    small: u64,
    large: u64,
    /// CPU of the servers for each call, in microseconds.
    cpu_us: [u64; 2],
    cpu_ratio: f64,
    /// One call alone, in microseconds.
    p50_us: [u64; 2],
    p50_ratio: f64,
    /// Under load.
    entries_per_batch: [f64; 2],
}

/// What is the same for all comparisons.
struct Growth<'a> {
    dir: &'a Path,
    people: usize,
    rounds: u32,
    window: Duration,
}

/// Compares small with large in each way, and prints a line for each.
///
/// # Errors
/// A network does not start, or a call fails.
pub(crate) async fn growth(
    dir: &Path,
    people: usize,
    rounds: u32,
    window: Duration,
    sizes: Sizes,
) -> anyhow::Result<Vec<Row>> {
    let growth = Growth { dir, people, rounds, window };
    let small = Fill { accounts: sizes.accounts_small, entries: 0, depth: 0 };
    let mut base = growth.rig(2, small).await?;
    let mut rows = Vec::new();
    let wanted = |factor| sizes.of.is_none_or(|only| only == factor);
    if wanted(Factor::Accounts) {
        rows.extend(growth.with_accounts(&mut base, small, sizes).await?);
    }
    if wanted(Factor::Entries) {
        rows.extend(growth.with_entries(&mut base, small, sizes).await?);
    }
    if wanted(Factor::Banks) {
        let mut large = growth.rig(sizes.banks, small).await?;
        let line = growth.compare("banks", [2, sizes.banks as u64], [&mut base, &mut large]).await?;
        rows.push(row("a transfer, with more banks", &line));
        growth.count(&large, small).await?;
    }
    growth.count(&base, small).await?;
    Ok(rows)
}

fn row(name: &'static str, line: &Line) -> Row {
    let figure = |name, measured| Figure { name, measured, target: Target::AtMost(GROWTH_MAX) };
    Row { name, figures: Ok(vec![figure("CPU ", line.cpu_ratio), figure("p50 ", line.p50_ratio)]) }
}

fn resident_mib(world: &World) -> anyhow::Result<u64> {
    let bank = world.banks.first().context("a network without banks")?;
    Ok(resident_kib(world.pid(bank.as_str()).context("a bank that does not run")?)? / 1024)
}

impl Growth<'_> {
    /// A network of so many banks, of which the first is filled.
    async fn rig(&self, banks: usize, filled: Fill) -> anyhow::Result<Rig> {
        let list = |world: &World| world.dir.join("accounts");
        let world = World::start(self.dir, banks, async |world| {
            let bank = world.banks.first().context("a network without banks")?;
            eprintln!("a bank is filled: {filled:?} …");
            let mut maker = itself()?;
            maker.args(["run-maker", "--bank", bank.as_str()]);
            maker.arg("--data").arg(world.data_dir(bank)).arg("--keys").arg(world.keys_dir(bank));
            maker.arg("--list").arg(list(world)).args(["--accounts", &filled.accounts.to_string()]);
            maker.args(["--entries", &filled.entries.to_string(), "--depth", &filled.depth.to_string()]);
            let status = maker.status()?;
            ensure!(status.success(), "the bank could not be filled: {status}");
            Ok(())
        })
        .await?;
        eprintln!("{} people sign in …", self.people);
        let people = People::sign_in(&world, self.people).await?;
        let list = fs::read_to_string(list(&world))?;
        let payees = list.lines().map(str::parse).collect::<Result<Vec<AccountNumber>, _>>()?;
        Ok(Rig::new(world, people)?.paying(payees))
    }

    async fn with_accounts(&self, base: &mut Rig, small: Fill, sizes: Sizes) -> anyhow::Result<[Row; 2]> {
        let many = Fill { accounts: sizes.accounts, ..small };
        let mut large = self.rig(2, many).await?;
        let started_mib = resident_mib(&large.world)?;
        let line = self.compare("accounts", [small.accounts, sizes.accounts], [base, &mut large]).await?;
        let mib = started_mib.max(resident_mib(&large.world)?);
        println!("{}", serde_json::json!({ "accounts": sizes.accounts, "resident_mib": mib }));
        self.count(&large, many).await?;
        let memory = Row::of(
            "MiB of a bank with all these accounts",
            Target::AtMost(RESIDENT_MIB_MAX),
            Some(ratio(mib, 1)),
            "",
        );
        Ok([row("a transfer, with more accounts", &line), memory])
    }

    async fn with_entries(&self, base: &mut Rig, small: Fill, sizes: Sizes) -> anyhow::Result<[Row; 2]> {
        let depth = u64::from(sizes.page) * u64::from(PAGE);
        let long = Fill { entries: sizes.entries, depth, ..small };
        let mut large = self.rig(2, long).await?;
        let line = self.compare("entries", [2 * small.accounts, sizes.entries], [base, &mut large]).await?;
        let page = self.pages(&large.world, sizes.page).await?;
        self.count(&large, long).await?;
        Ok([row("a transfer, with a longer journal", &line), row("a page of history, deeper", &page)])
    }

    /// Counts the money of a network whose first bank was filled: all that was ever paid in is there.
    async fn count(&self, rig: &Rig, filled: Fill) -> anyhow::Result<()> {
        let people = rig.people.at.iter().map(Vec::len).sum::<usize>();
        let paid_in = filled.money()? + i64::try_from(people)? * people::MONEY;
        let money = rig.world.money().await?;
        ensure!(money == paid_in, "money was made or lost: {paid_in} cents became {money}");
        Ok(())
    }

    /// Transfers in both networks in turn, busy and alone.
    async fn compare(
        &self,
        factor: &'static str,
        [small, large]: [u64; 2],
        mut rigs: [&mut Rig; 2],
    ) -> anyhow::Result<Line> {
        let (mut busy, mut alone) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for round in 0..self.rounds {
            for turn in 0..rigs.len() {
                // neither is always first
                let which = (turn + round as usize) % rigs.len();
                let rig = &mut rigs[which];
                let calls = CALLS_PER_BANK * rig.world.banks.len();
                busy[which].push(rig.slice(Load::Work(Work::Interbank, calls), self.window).await?);
                alone[which].push(rig.slice(Load::Work(Work::Interbank, 1), self.window / 2).await?);
            }
        }
        print(Line::of(factor, [small, large], &busy, &alone)?)
    }

    /// The first page of a long history and a deep one, in turn.
    async fn pages(&self, world: &World, page: u32) -> anyhow::Result<Line> {
        let bank = world.banks.first().context("a network without banks")?;
        let person = People::log_in(world, bank, maker::DEEP, maker::DEEP_PASSWORD).await?;
        let cursors = [bytes::Bytes::new(), cursor(&person, page).await?];
        let mut slices = [Vec::new(), Vec::new()];
        for round in 0..self.rounds {
            for turn in 0..cursors.len() {
                let which = (turn + round as usize) % cursors.len();
                slices[which].push(read(world, &person, &cursors[which], self.window).await?);
            }
        }
        print(Line::of("page", [1, u64::from(page)], &slices, &slices)?)
    }
}

/// The place in a history where a page begins.
async fn cursor(person: &Person, page: u32) -> anyhow::Result<bytes::Bytes> {
    let (mut left, mut cursor) = ((page - 1) * PAGE, bytes::Bytes::new());
    let mut client = GatewayClient::new(person.channel.clone());
    while left > 0 {
        let page_size = left.min(WIDE_PAGE);
        let reply = client.history(person.call(asked(person, &cursor, page_size))).await?.into_inner();
        ensure!(!reply.next_cursor.is_empty(), "the history ends {left} movements too early");
        (left, cursor) = (left - page_size, reply.next_cursor);
    }
    Ok(cursor)
}

fn asked(person: &Person, cursor: &bytes::Bytes, page_size: u32) -> v1::HistoryRequest {
    let account = person.account.to_string();
    v1::HistoryRequest { account, cursor: cursor.clone(), page_size, at_least_position: 0 }
}

/// One page, one call after another.
async fn read(
    world: &World,
    person: &Person,
    cursor: &bytes::Bytes,
    window: Duration,
) -> anyhow::Result<Slice> {
    let meter = world.meter();
    let reading = meter.read()?;
    let (channel, asked) = (person.channel.clone(), asked(person, cursor, PAGE));
    let bearer = person.bearer.clone();
    let timed = in_flight(1, window, move |_, _| {
        let mut request = tonic::Request::new(asked.clone());
        request.metadata_mut().insert(AUTHORIZATION, bearer.clone());
        let mut client = GatewayClient::new(channel.clone());
        async move {
            let reply = client.history(request).await?.into_inner();
            ensure!(reply.movements.len() == PAGE as usize, "a page that is not full");
            Ok(())
        }
    })
    .await?;
    Ok(Slice { spent: meter.since(&reading)?, ..Slice::of(timed) })
}

impl Line {
    /// Small and large are the two of each pair.
    fn of(
        factor: &'static str,
        [small, large]: [u64; 2],
        busy: &[Vec<Slice>; 2],
        alone: &[Vec<Slice>; 2],
    ) -> anyhow::Result<Self> {
        let compared = |slices: &[Vec<Slice>; 2], figure: fn(&Slice) -> u64| {
            let ratios =
                slices[0].iter().zip(&slices[1]).map(|(small, large)| ratio(figure(large), figure(small)));
            let both = [0, 1].map(|which: usize| median(slices[which].iter().map(figure)).unwrap_or(0));
            median(ratios).map(|ratio| (both, rounded(ratio))).context("no rounds were run")
        };
        let (cpu_us, cpu_ratio) = compared(busy, Slice::servers_cpu_us)?;
        let (p50_us, p50_ratio) = compared(alone, |slice| slice.percentile_us(50))?;
        let entries_per_batch = [0, 1].map(|which: usize| {
            let batches = busy[which].iter().flat_map(|slice| slice.spent.batches.values());
            let sums =
                batches.fold((0, 0), |(entries, rows), one| (entries + one.entries, rows + one.batches));
            rounded(ratio(sums.0, sums.1))
        });
        Ok(Self { factor, small, large, cpu_us, cpu_ratio, p50_us, p50_ratio, entries_per_batch })
    }
}

fn print(line: Line) -> anyhow::Result<Line> {
    println!("{}", serde_json::to_string(&line)?);
    Ok(line)
}
