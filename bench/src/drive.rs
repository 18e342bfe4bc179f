//! Drives one kind of work for a fixed time at a number in flight. Orders are signed before the window and outcomes
//! verified after it, since clients run elsewhere in life; everything that a server does is inside.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use strife_proto::commit::Verdict;
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::transfer_reply::State;
use tokio::task::JoinSet;

use crate::Work;
use crate::kernel::{Used, flushes, used};
use crate::people::{People, Person, Signed};
use crate::world::World;

/// Most orders that are signed for each second of the window: more than any machine of this size moves.
const ORDERS_PER_SECOND_MAX: u64 = 30_000;

/// How long each call took, and the window.
pub(crate) struct Timed {
    /// Microseconds, sorted.
    pub latencies_us: Vec<u64>,
    /// From the first call to the last answer.
    pub window: Duration,
}

impl Timed {
    /// Calls per second.
    pub(crate) fn per_second(&self) -> u64 {
        let micros = self.window.as_micros().max(1);
        u64::try_from(self.latencies_us.len() as u128 * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// So many of a hundred took no longer, in microseconds.
    pub(crate) fn percentile_us(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        self.latencies_us.get(last * percent / 100).copied().unwrap_or(0)
    }
}

/// Keeps so many calls in flight until the window is over; a call is told its number.
///
/// # Errors
/// The first that fails.
pub(crate) async fn in_flight<F>(
    calls: usize,
    window: Duration,
    call: impl Fn(usize) -> F,
) -> anyhow::Result<Timed>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut latencies_us = Vec::new();
    let began = Instant::now();
    let mut number = 0;
    let mut start = |running: &mut JoinSet<anyhow::Result<u64>>| {
        let work = call(number);
        number += 1;
        running.spawn(async move {
            let began = Instant::now();
            work.await?;
            Ok(u64::try_from(began.elapsed().as_micros())?)
        });
    };
    for _ in 0..calls {
        start(&mut running);
    }
    while let Some(ended) = running.join_next().await {
        latencies_us.push(ended??);
        if began.elapsed() < window {
            start(&mut running);
        }
    }
    let window = began.elapsed();
    latencies_us.sort_unstable();
    Ok(Timed { latencies_us, window })
}

/// What came of driving one kind of work.
pub(crate) struct Run {
    /// Which.
    pub work: Work,
    /// Calls in flight.
    pub in_flight: usize,
    /// Each call.
    pub timed: Timed,
    /// What each process used, by name.
    pub used: BTreeMap<&'static str, Used>,
    /// How often the disk was flushed, where the kernel counts that.
    pub flushes: Option<u64>,
    /// No cent was made or lost.
    pub conserved: bool,
}

/// Drives one kind of work.
///
/// # Errors
/// A call fails, an outcome is not what its bank signed, or money was made or lost.
pub(crate) async fn drive(
    world: &World,
    people: &People,
    work: Work,
    calls: usize,
    window: Duration,
) -> anyhow::Result<Run> {
    let before = world.money().await?;
    let orders = if work.pays() { sign(people, work, window)? } else { Vec::new() };
    let replies: Vec<_> = orders.iter().map(|_| tokio::sync::oneshot::channel()).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
    let prepared: Vec<_> = orders
        .iter()
        .zip(senders)
        .map(|(order, sender)| {
            let (bank, place) = order.payer;
            let payer = &people.at[bank][place];
            (payer.channel.clone(), payer.call(order.request.clone()), sender)
        })
        .collect();
    let prepared = std::sync::Mutex::new(prepared);

    let (used_before, flushes_before) = (usage(world)?, flushes(&world.dir));
    let timed = if work.pays() {
        in_flight(calls, window, |_| {
            let next = prepared.lock().ok().and_then(|mut prepared| prepared.pop());
            async move {
                let (channel, request, sender) = next.context("all orders that were signed are spent")?;
                let reply = GatewayClient::new(channel).submit(request).await?.into_inner();
                // nobody waits for it before the window is over
                let _ = sender.send(reply);
                Ok(())
            }
        })
        .await?
    } else {
        read(people, work, calls, window).await?
    };
    let flushes = flushes(&world.dir).zip(flushes_before).map(|(after, before)| after - before);
    let mut used = BTreeMap::new();
    for (name, after) in usage(world)? {
        let before = used_before.get(name).copied().unwrap_or_default();
        let cpu_us = after.cpu_us - before.cpu_us;
        used.insert(name, Used { cpu_us, bytes_written: after.bytes_written - before.bytes_written });
    }
    drop(prepared);
    verify(people, &orders, receivers, timed.latencies_us.len()).await?;
    let conserved = world.money().await? == before;
    if !conserved {
        bail!("money was made or lost");
    }
    Ok(Run { work, in_flight: calls, timed, used, flushes, conserved })
}

fn usage(world: &World) -> anyhow::Result<BTreeMap<&'static str, Used>> {
    world.pids().into_iter().map(|(name, pid)| Ok((name, used(pid)?))).collect()
}

/// Signs the orders of a window.
fn sign(people: &People, work: Work, window: Duration) -> anyhow::Result<Vec<Signed>> {
    let count = usize::try_from(window.as_secs().max(1) * ORDERS_PER_SECOND_MAX)?;
    let mut orders = Vec::with_capacity(count);
    for number in 0..count {
        let from_bank = if matches!(work, Work::HotPayee | Work::HotPayer) { 0 } else { number % 2 };
        let to_bank = if work == Work::SameBank { from_bank } else { 1 - from_bank };
        let (payers, payees) = (&people.at[from_bank], &people.at[to_bank]);
        let payer = if work == Work::HotPayer { 0 } else { (number / 2) % payers.len() };
        let payee = if work == Work::HotPayee { 0 } else { (number / 2 + 1 + number / 64) % payees.len() };
        // not to oneself
        let payee = if work == Work::SameBank && payee == payer { (payee + 1) % payees.len() } else { payee };
        let (order, request) = payers[payer].order(&payees[payee])?;
        orders.push(Signed { payer: (from_bank, payer), order, request });
    }
    Ok(orders)
}

async fn read(people: &People, work: Work, calls: usize, window: Duration) -> anyhow::Result<Timed> {
    in_flight(calls, window, |number| {
        let people = &people.at[number % 2];
        let person: &Person = &people[(number / 2) % people.len()];
        let mut client = GatewayClient::new(person.channel.clone());
        let accounts = person.call(v1::AccountsRequest {});
        let asked = v1::HistoryRequest { account: person.account.to_string(), ..Default::default() };
        let history = person.call(asked);
        async move {
            if work == Work::Balance {
                client.accounts(accounts).await?;
            } else {
                client.history(history).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Every answer is what the payer's bank signed about that very order, and it is posted.
async fn verify(
    people: &People,
    orders: &[Signed],
    receivers: Vec<tokio::sync::oneshot::Receiver<v1::TransferReply>>,
    sent: usize,
) -> anyhow::Result<()> {
    let roster = &people.trust.roster;
    let mut judged = 0;
    for (signed, receiver) in orders.iter().zip(receivers) {
        let Ok(reply) = receiver.await else { continue };
        let Some(State::Ended(statement)) = reply.state else { bail!("an order was not decided in time") };
        let statement = Statement::verify(&statement, "bench", |bank| roster.signing_key(bank), None)?;
        let posted = statement.word == Word::Outcome(Verdict::Posted);
        if !posted || statement.key != *signed.order.key() || statement.hash != signed.order.hash() {
            bail!("an answer is not about its order, or does not post it: {statement:?}");
        }
        judged += 1;
    }
    if !orders.is_empty() && judged != sent {
        bail!("{sent} orders were sent and {judged} answered");
    }
    Ok(())
}
