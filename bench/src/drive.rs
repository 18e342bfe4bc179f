//! Drives one kind of work for a slice. Orders are signed before it and outcomes verified after it, since clients run
//! elsewhere in life; everything that a server does is inside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;

use crate::Work;
use crate::meter::{Meter, Reading};
use crate::orders::{Orders, Signed, submit, verify};
use crate::people::People;
use crate::slice::Slice;
use crate::timed::{Timed, in_flight};
use crate::world::World;

/// Most orders that are signed for each second of a slice: more than any machine of this size moves, one to a call.
const ORDERS_PER_SECOND_MAX: u128 = 40_000;

/// How many orders a slice may take.
pub(crate) fn orders_for(window: Duration, per_second_max: u128) -> anyhow::Result<usize> {
    Ok(usize::try_from(window.as_millis() * per_second_max / 1_000)?.max(1_000))
}

/// Drives transfers for a slice.
///
/// # Errors
/// A call fails, an outcome is not what its bank signed, or money was made or lost.
pub(crate) async fn pay(
    world: &World,
    people: &Arc<People>,
    pool: &mut Orders,
    (calls, window): (usize, Duration),
    counts_money: bool,
) -> anyhow::Result<Slice> {
    let orders = Arc::new(pool.take(orders_for(window, ORDERS_PER_SECOND_MAX)?)?);
    let sent = (people.clone(), orders.clone());
    let books = Books::open(world, counts_money).await?;
    let timed = in_flight(calls, window, move |_, number| {
        let ready = submit(&sent.0, &sent.1, number);
        async move {
            let (channel, request) = ready?;
            Ok(GatewayClient::new(channel).submit(request).await?.into_inner())
        }
    })
    .await?;
    let (slice, answers) = books.close(world, timed).await?;
    judge(people, &orders, &answers)?;
    let mut orders = Arc::into_inner(orders).context("somebody still sends orders")?;
    pool.put_back(orders.split_off(answers.len()));
    Ok(slice)
}

/// What stood before something that moves money.
pub(crate) struct Books {
    money: Option<i64>,
    meter: Meter,
    reading: Reading,
}

impl Books {
    /// Waits until nothing is on its way, and takes stock. Whoever does not have the money counted here does it at the
    /// end: where accounts are many, the answer takes a bank's time and memory.
    ///
    /// # Errors
    /// A process does not answer.
    pub(crate) async fn open(world: &World, counts_money: bool) -> anyhow::Result<Self> {
        let money = if counts_money { Some(world.money().await?) } else { None };
        let meter = world.meter();
        meter.rest().await?;
        let reading = meter.read()?;
        Ok(Self { money, meter, reading })
    }

    /// Waits until nothing is on its way and all is projected, and says what was used till then.
    ///
    /// # Errors
    /// Money was made or lost.
    pub(crate) async fn close<T>(
        self,
        world: &World,
        timed: Timed<T>,
    ) -> anyhow::Result<(Slice, Vec<(usize, T)>)> {
        let ended = Instant::now();
        let mut settle = self.meter.rest().await?.saturating_duration_since(ended);
        let mut spent = self.meter.since(&self.reading)?;
        if let Some(before) = self.money {
            let after = world.money().await?;
            if after != before {
                bail!("money was made or lost: {before} cents became {after}");
            }
            let all = self.meter.since(&self.reading)?;
            // something came after a rest
            if all.batches != spent.batches {
                (settle, spent) = (ended.elapsed(), all);
            }
        }
        let slice = Slice { window: timed.window, latencies_us: timed.latencies_us, settle, spent };
        Ok((slice, timed.answers))
    }
}

/// Each answer is what its bank signed about that very order, which is posted.
///
/// # Errors
/// One is not.
pub(crate) fn judge(
    people: &People,
    orders: &[Signed],
    answers: &[(usize, v1::TransferReply)],
) -> anyhow::Result<()> {
    for (number, reply) in answers {
        let signed = orders.get(*number).context("an answer to no order")?;
        verify(people, signed, reply)?;
    }
    Ok(())
}

/// Drives reads for a slice.
///
/// # Errors
/// A call fails.
pub(crate) async fn read(
    world: &World,
    people: &Arc<People>,
    work: Work,
    calls: usize,
    window: Duration,
) -> anyhow::Result<Slice> {
    let meter = world.meter();
    let reading = meter.read()?;
    let everybody = people.clone();
    let timed = in_flight(calls, window, move |_, number| {
        let banks = everybody.at.len();
        let share = everybody.at.first().map_or(1, Vec::len).max(1);
        let person = everybody.person((number % banks, number / banks % share));
        let ready = person.map(|person| {
            let asked = v1::HistoryRequest { account: person.account.to_string(), ..Default::default() };
            (person.channel.clone(), person.call(v1::AccountsRequest {}), person.call(asked))
        });
        async move {
            let (channel, accounts, history) = ready?;
            let mut client = GatewayClient::new(channel);
            if work == Work::Balance {
                let reply = client.accounts(accounts).await?.into_inner();
                anyhow::ensure!(!reply.accounts.is_empty(), "a person without an account");
            } else {
                client.history(history).await?;
            }
            Ok(())
        }
    })
    .await?;
    Ok(Slice { spent: meter.since(&reading)?, ..Slice::of(timed) })
}
