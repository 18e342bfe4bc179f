//! One transfer over two clusters: both sides prepared at the same time, each in one round trip; the decision made
//! durable at the payer's; both sides committed at the same time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::future::{join, join4};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Statement};

/// Two transfers that lock rows of both clusters the other way round would wait for each other for ever: no cluster
/// sees the whole circle. One of them gives up after this, and begins anew.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '200ms'";

/// Tries of one transfer.
const TRIES_MAX: u32 = 50;

/// A connection to one cluster, with its statements prepared.
pub(super) struct Side {
    client: Client,
    change: Statement,
    record: Statement,
    decide: Statement,
}

impl Side {
    /// Prepares the statements of a connection.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(super) async fn prepare(client: Client) -> anyhow::Result<Self> {
        client.batch_execute(LOCK_TIMEOUT).await?;
        // the floor is the table's own check
        let change = client.prepare("UPDATE accounts SET balance = balance + $2 WHERE id = $1").await?;
        let record =
            client.prepare("INSERT INTO transfers (id, account, amount) VALUES ($1, $2, $3)").await?;
        let decide = client.prepare("INSERT INTO decisions (id, posted) VALUES ($1, true)").await?;
        Ok(Self { client, change, record, decide })
    }

    /// Debits or credits an account, records the transfer and prepares both, all in one round trip.
    async fn vote(&self, id: i64, account: i32, amount: i64) -> Result<(), Error> {
        let prepare = format!("PREPARE TRANSACTION '{id}'");
        let (begun, changed, recorded, prepared) = join4(
            self.client.batch_execute("BEGIN"),
            self.client.execute(&self.change, &[&account, &amount]),
            self.client.execute(&self.record, &[&id, &account, &amount]),
            // where something before it failed, this rolls back
            self.client.batch_execute(&prepare),
        )
        .await;
        begun.and(changed).and(recorded).and(prepared)
    }

    async fn end(&self, id: i64, how: &str) -> Result<(), Error> {
        self.client.batch_execute(&format!("{how} PREPARED '{id}'")).await
    }
}

/// Carries out a transfer of a cent between accounts that its number draws, and says how long it took until it was
/// decided.
///
/// # Errors
/// It fails for another reason than that rows were locked.
pub(super) async fn carry_out(
    sides: &[Side; 2],
    id: i64,
    accounts: i32,
    retries: &AtomicU64,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let [one, two] = sides;
    // both ways in turn, as the banks pay each other
    let (payer, payee) = if id % 2 == 0 { (one, two) } else { (two, one) };
    let (from, to) = (drawn(id, accounts)?, drawn(!id, accounts)?);
    for _ in 0..TRIES_MAX {
        match join(payer.vote(id, from, -1), payee.vote(id, to, 1)).await {
            (Ok(()), Ok(())) => {
                payer.client.execute(&payer.decide, &[&id]).await?;
                let decided = begun.elapsed();
                let (paid, credited) = join(payer.end(id, "COMMIT"), payee.end(id, "COMMIT")).await;
                paid.and(credited)?;
                return Ok(decided);
            }
            (payer_voted, payee_voted) => {
                for (side, voted) in [(payer, payer_voted), (payee, payee_voted)] {
                    match voted {
                        Ok(()) => side.end(id, "ROLLBACK").await?,
                        Err(error) if was_locked(&error) => {}
                        Err(error) => return Err(error).context("a transfer between two clusters"),
                    }
                }
                retries.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    bail!("the rows of a transfer were locked {TRIES_MAX} times")
}

fn was_locked(error: &Error) -> bool {
    let codes = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| codes.contains(code))
}

/// An account that a number draws: the mixing steps of SplitMix64, so that neighbours fall anywhere.
fn drawn(number: i64, accounts: i32) -> anyhow::Result<i32> {
    let mut mixed = number.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Ok(i32::try_from((mixed ^ (mixed >> 31)) % u64::try_from(accounts)?)?)
}
