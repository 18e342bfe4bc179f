//! Overload: an open loop at several times the load that the network carries at its best. Calls begin by the clock,
//! whatever became of those before; each is refused, answered, or left unknown and asked for again afterwards.
//!
//! The driver shares the machine with the servers, so that what it uses is lost to them: its CPU is printed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use strife_client::ApiError;
use strife_client::sync::{Next, judge};
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::transfer_reply::State;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::Work;
use crate::drive::Books;
use crate::meter::DRIVER;
use crate::orders::{Orders, Signed, submit, verify};
use crate::people::People;
use crate::ratio::{ratio, rounded};
use crate::rounds::{Load, Rig};
use crate::slice::{Slice, median};
use crate::table::{BUSY, Figure, Row, Target};
use crate::timed::{Timed, micros, percentile};
use crate::world::World;

/// The load, in parts of what the network carries.
const TIMES: u64 = 4;
/// Connections that it comes over: each lets the server take 200 calls at a time, and no call may wait in the driver.
const CONNECTIONS: usize = 100;
/// Calls that begin in one slice at most.
const CALLS_MAX: u64 = 1_000_000;
/// Calls without an end at a time: past that the driver holds back, which is counted.
const RUNNING_MAX: usize = 50_000;
/// How often calls are begun.
const TICK: Duration = Duration::from_millis(1);
/// How long the unknown are asked for again.
const ASK_MAX: Duration = Duration::from_secs(60);

/// One slice of overload.
#[derive(Debug, Serialize)]
struct Storm {
    /// At the peak just before.
    peak_per_second: u64,
    peak_p99_us: u64,
    /// Calls that began.
    offered: usize,
    offered_per_second: u64,
    /// Calls that the driver did not begin, since too many had no end.
    held_back: usize,
    /// How late calls began.
    begun_late_p99_us: u64,
    posted: usize,
    /// Answered in the second half of the load, when it has lasted for a while.
    posted_per_second: u64,
    posted_p50_us: u64,
    posted_p99_us: u64,
    /// By name.
    refused: BTreeMap<&'static str, usize>,
    refused_share: f64,
    refused_p99_us: u64,
    /// Neither: asked for again afterwards, until posted.
    unknown: BTreeMap<String, usize>,
    /// What the outbox does not send again by itself; must be none.
    parked: usize,
    /// The driver's own, for each call that began, in microseconds.
    driver_cpu_us: f64,
    /// The servers', for each transfer that was posted, in microseconds.
    servers_cpu_us: f64,
    conserved: bool,
}

/// What became of one call.
struct Told {
    number: usize,
    /// From its time to its begin.
    late: Duration,
    /// From its time to its end.
    took: Duration,
    /// From the beginning of the slice to its end.
    ended: Duration,
    reply: Result<v1::TransferReply, tonic::Status>,
}

/// Finds the peak and passes it, in turns, and prints a line for each turn.
///
/// # Errors
/// An order comes to nothing, or money was made or lost.
pub(crate) async fn overload(rig: &mut Rig, rounds: u32, window: Duration) -> anyhow::Result<Vec<Row>> {
    let channels = connect(&rig.world, &rig.people)?;
    for channel in channels.iter().flatten() {
        // connected before anything is timed
        GatewayClient::new(channel.clone()).banks(v1::BanksRequest {}).await?;
    }
    let mut orders = Orders::of(rig.people.clone(), Work::Interbank);
    let mut storms = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds} …", round + 1);
        let peak = rig.slice(Load::Work(Work::Interbank, BUSY), window).await?;
        let storm = storm(&rig.world, &rig.people, &mut orders, &channels, &peak, window).await?;
        println!("{}", serde_json::to_string(&storm)?);
        storms.push(storm);
    }
    Ok(rows(&storms))
}

fn rows(storms: &[Storm]) -> Vec<Row> {
    let over = |figure: fn(&Storm) -> f64| median(storms.iter().map(figure));
    let figure = |name, measured, target| Figure { name, measured, target };
    let none = "there was no slice";
    let quick = over(|storm| ratio(storm.refused_p99_us, storm.posted_p99_us));
    let parked = storms.iter().map(|storm| storm.parked as u64).sum();
    vec![
        Row::of(
            "load offered ÷ peak (the driver keeps up)",
            Target::AtLeast(3.8),
            over(|storm| ratio(storm.offered_per_second, storm.peak_per_second)),
            none,
        ),
        Row::of(
            "throughput under overload ÷ peak",
            Target::AtLeast(0.9),
            over(|storm| ratio(storm.posted_per_second, storm.peak_per_second)),
            none,
        ),
        Row::of(
            "p99 of the admitted ÷ p99 at the peak",
            Target::AtMost(5.0),
            over(|storm| ratio(storm.posted_p99_us, storm.peak_p99_us)),
            none,
        ),
        Row {
            name: "refusals: not retried by the outbox; their p99 ÷ p99 of the admitted",
            figures: quick.ok_or_else(|| none.to_owned()).map(|quick| {
                vec![
                    figure("count ", ratio(parked, 1), Target::AtMost(0.0)),
                    figure("p99 ", quick, Target::AtMost(1.0)),
                ]
            }),
        },
    ]
}

/// Connections over each certificate: a session is bound to it, not to a connection.
fn connect(world: &World, people: &People) -> anyhow::Result<Vec<Vec<Channel>>> {
    let each = CONNECTIONS.div_ceil(people.groups.len().max(1));
    let connect = |settings| (0..each).map(|_| world.connect(settings, false)).collect();
    people.groups.iter().map(connect).collect()
}

async fn storm(
    world: &World,
    people: &Arc<People>,
    pool: &mut Orders,
    channels: &[Vec<Channel>],
    peak: &Slice,
    window: Duration,
) -> anyhow::Result<Storm> {
    let rate = (peak.per_second() * TIMES).max(1);
    let count = (rate * micros(window) / 1_000_000).clamp(1, CALLS_MAX);
    let orders = Arc::new(pool.take(usize::try_from(count)?)?);
    let books = Books::open(world, true).await?;
    let (told, held_back, window) =
        open_loop(people, &orders, channels, rate, usize::try_from(count)?).await?;

    let offered = told.len();
    let (mut posted_us, mut refused_us, mut late_us) = (Vec::new(), Vec::new(), Vec::new());
    let (mut refused, mut unknown) = (BTreeMap::new(), BTreeMap::<String, usize>::new());
    let (mut in_half, mut parked, mut ask_again) = (0, 0, Vec::new());
    for Told { number, late, took, ended, reply } in told {
        late_us.push(micros(late));
        let why = match reply {
            Ok(reply) if matches!(reply.state, Some(State::Ended(_))) => {
                verify(people, orders.get(number).context("an answer to no order")?, &reply)?;
                posted_us.push(micros(took));
                in_half += u64::from(ended > window / 2 && ended <= window);
                continue;
            }
            Ok(_) => "pending".to_owned(),
            Err(status) => match ApiError::from(status) {
                ApiError::Refused(refusal) => {
                    *refused.entry(refusal.name()).or_default() += 1;
                    refused_us.push(micros(took));
                    let retried = judge(&Err(ApiError::Refused(refusal))) == Next::Later;
                    parked += usize::from(!retried);
                    continue;
                }
                error => error.to_string(),
            },
        };
        *unknown.entry(why).or_default() += 1;
        ask_again.push(number);
    }
    ask(people, &orders, ask_again).await?;
    let nothing = Timed { window, latencies_us: Vec::new(), answers: Vec::<(usize, ())>::new() };
    let (slice, _) = books.close(world, nothing).await?;
    for figures in [&mut posted_us, &mut refused_us, &mut late_us] {
        figures.sort_unstable();
    }
    let driver = slice.spent.used.get(DRIVER).copied().unwrap_or_default().cpu_us;
    let rate = |count: u64| count * 1_000_000 / micros(window).max(1);
    Ok(Storm {
        peak_per_second: peak.per_second(),
        peak_p99_us: peak.percentile_us(99),
        offered,
        offered_per_second: rate(offered as u64),
        held_back,
        begun_late_p99_us: percentile(&late_us, 99),
        posted: posted_us.len(),
        posted_per_second: 2 * rate(in_half),
        posted_p50_us: percentile(&posted_us, 50),
        posted_p99_us: percentile(&posted_us, 99),
        refused_share: rounded(ratio(refused_us.len() as u64, offered as u64)),
        refused,
        refused_p99_us: percentile(&refused_us, 99),
        unknown,
        parked,
        driver_cpu_us: rounded(ratio(driver, offered as u64)),
        servers_cpu_us: rounded(ratio(slice.spent.servers_cpu_us(), posted_us.len() as u64)),
        conserved: true,
    })
}

/// Begins each call at its time. Returns what became of them, how many were held back, and how long the load lasted.
async fn open_loop(
    people: &Arc<People>,
    orders: &Arc<Vec<Signed>>,
    channels: &[Vec<Channel>],
    rate: u64,
    count: usize,
) -> anyhow::Result<(Vec<Told>, usize, Duration)> {
    let (mut running, mut told, mut held_back) = (JoinSet::new(), Vec::with_capacity(count), 0);
    let mut tick = tokio::time::interval(TICK);
    let began = Instant::now();
    let mut number = 0;
    while number < count {
        tick.tick().await;
        let due = usize::try_from(rate * micros(began.elapsed()) / 1_000_000)?.min(count);
        for number in number..due {
            if running.len() >= RUNNING_MAX {
                held_back += 1;
                continue;
            }
            let payer = people.person(orders.get(number).context("too few orders")?.payer)?;
            let of_group = channels.get(payer.group).context("a group without connections")?;
            let channel = of_group[number % of_group.len()].clone();
            let (_, request) = submit(people, orders, number)?;
            let due = Duration::from_micros(number as u64 * 1_000_000 / rate);
            running.spawn(async move {
                let late = began.elapsed().saturating_sub(due);
                let reply =
                    GatewayClient::new(channel).submit(request).await.map(tonic::Response::into_inner);
                let ended = began.elapsed();
                Told { number, late, took: ended.saturating_sub(due), ended, reply }
            });
        }
        number = due;
        while let Some(ended) = running.try_join_next() {
            told.push(ended?);
        }
    }
    let window = began.elapsed();
    while let Some(ended) = running.join_next().await {
        told.push(ended?);
    }
    Ok((told, held_back, window))
}

/// Sends orders again until each is posted, as the outbox does.
async fn ask(people: &Arc<People>, orders: &Arc<Vec<Signed>>, numbers: Vec<usize>) -> anyhow::Result<()> {
    let (deadline, mut numbers) = (Instant::now() + ASK_MAX, numbers);
    while !numbers.is_empty() {
        if Instant::now() > deadline {
            bail!("{} orders have no end", numbers.len());
        }
        let mut left = Vec::new();
        for some in numbers.chunks(BUSY) {
            let mut asked = JoinSet::new();
            for number in some.iter().copied() {
                let (channel, mut request) = submit(people, orders, number)?;
                request.get_mut().again = true;
                asked.spawn(async move { (number, GatewayClient::new(channel).submit(request).await) });
            }
            while let Some(ended) = asked.join_next().await {
                match ended? {
                    (number, Ok(reply)) if matches!(reply.get_ref().state, Some(State::Ended(_))) => {
                        verify(people, orders.get(number).context("too few orders")?, reply.get_ref())?;
                    }
                    (number, _) => left.push(number),
                }
            }
        }
        numbers = left;
    }
    Ok(())
}
