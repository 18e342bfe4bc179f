//! Rounds: every kind of load takes a slice in each, so that what is compared was measured within seconds, and what is
//! reported is the median of the rounds. Every other round goes backwards, so that nothing is always first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use strife_client::AccountNumber;

use crate::Work;
use crate::bulk::bulk;
use crate::drive::{pay, read};
use crate::floor::Floors;
use crate::orders::Orders;
use crate::people::People;
use crate::postgres::Peer;
use crate::slice::{Slice, median};
use crate::table::BUSY;
use crate::world::World;

/// What a slice is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// Bare echoes, so many in flight.
    Echo(usize),
    /// Synced appends.
    Append,
    /// A kind of work, so many calls in flight.
    Work(Work, usize),
    /// Transfers between two PostgreSQL clusters, so many in flight.
    Postgres(usize),
}

impl Load {
    /// The echo that it is compared with: as many calls in flight, but for a stream, which is one call.
    pub(crate) fn echo(self) -> Load {
        match self {
            Load::Append => Load::Echo(1),
            Load::Work(Work::Bulk, _) => Load::Echo(BUSY),
            Load::Echo(calls) | Load::Work(_, calls) | Load::Postgres(calls) => Load::Echo(calls),
        }
    }
}

/// All slices, by load and in the order of the rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<Load, Vec<Slice>>);

/// What is measured with.
pub(crate) struct Rig {
    /// The network.
    pub world: World,
    /// Who pays and reads.
    pub people: Arc<People>,
    floors: Floors,
    orders: BTreeMap<Work, Orders>,
    payees: Vec<AccountNumber>,
    peer: Option<Peer>,
    counts_money: bool,
}

impl Rig {
    /// Of a running network.
    ///
    /// # Errors
    /// Files that cannot be made.
    pub(crate) fn new(world: World, people: People) -> anyhow::Result<Self> {
        let (people, floors) = (Arc::new(people), Floors::new(&world)?);
        let (orders, payees) = (BTreeMap::new(), Vec::new());
        Ok(Self { world, people, floors, orders, payees, peer: None, counts_money: true })
    }

    /// Beside which a peer is measured.
    pub(crate) fn beside(mut self, peer: Option<Peer>) -> Self {
        self.peer = peer;
        self
    }

    /// Has payments to the first bank spread over these accounts there, which may be so many that the money is not
    /// counted after each slice: whoever measures does it at the end.
    pub(crate) fn paying(mut self, payees: Vec<AccountNumber>) -> Self {
        (self.payees, self.counts_money) = (payees, false);
        self
    }

    /// Runs rounds of slices. Floors take half as long as work.
    ///
    /// # Errors
    /// Anything fails: there is no figure of a run in which something did.
    pub(crate) async fn measure(
        &mut self,
        loads: &[Load],
        rounds: u32,
        window: Duration,
    ) -> anyhow::Result<Rounds> {
        let mut measured = Rounds::default();
        for round in 0..rounds {
            eprintln!("round {} of {rounds} …", round + 1);
            let mut loads = loads.to_vec();
            if round % 2 == 1 {
                loads.reverse();
            }
            for load in loads {
                let slice = self.slice(load, window).await?;
                measured.0.entry(load).or_default().push(slice);
            }
        }
        Ok(measured)
    }

    /// One slice.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub(crate) async fn slice(&mut self, load: Load, window: Duration) -> anyhow::Result<Slice> {
        let Self { world, people, floors, orders, payees, peer, counts_money } = self;
        match load {
            Load::Echo(calls) => floors.echo(world, calls, window / 2).await,
            Load::Append => floors.append(window / 4),
            Load::Work(work, calls) if work.pays() => {
                let new = || Orders::of(people.clone(), work).paying(payees.clone());
                let orders = orders.entry(work).or_insert_with(new);
                match work {
                    Work::Bulk => bulk(world, people, orders, calls, window).await,
                    _ => pay(world, people, orders, (calls, window), *counts_money).await,
                }
            }
            Load::Work(work, calls) => read(world, people, work, calls, window).await,
            Load::Postgres(calls) => {
                let peer = peer.as_ref().context("no PostgreSQL was started")?;
                let slice = peer.slice(calls, window).await?;
                eprintln!(
                    "PostgreSQL: {} transfers began anew so far, since rows were locked",
                    peer.retries()
                );
                Ok(slice)
            }
        }
    }
}

impl Rounds {
    /// The slices of a load; none if it was not run.
    pub(crate) fn of(&self, load: Load) -> &[Slice] {
        self.0.get(&load).map_or(&[], Vec::as_slice)
    }

    /// The median of a figure over the rounds.
    pub(crate) fn median(&self, load: Load, figure: impl Fn(&Slice) -> u64) -> Option<u64> {
        median(self.of(load).iter().map(figure))
    }

    /// The median over the rounds of a figure that is made of two loads in the same round.
    pub(crate) fn compare(&self, [a, b]: [Load; 2], figure: impl Fn(&Slice, &Slice) -> f64) -> Option<f64> {
        median(self.of(a).iter().zip(self.of(b)).map(|(a, b)| figure(a, b)))
    }
}
