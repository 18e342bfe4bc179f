//! `Watch`: balances and movements of one person's accounts as they happen.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use strife_daemon::lifecycle::Stop;
use strife_proto::domain::AccountNumber;
use strife_proto::{Refusal, v1};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::bank::{Bank, SignedIn};
use crate::ledger::LedgerAccount;
use crate::writer::News;

/// Replies that wait for a slow reader; it then misses batches and is sent all balances.
const REPLIES_WAITING_MAX: usize = 16;
/// How often a quiet watcher's session is looked at, so that a sign-out elsewhere ends it.
const SESSION_CHECK: Duration = Duration::from_secs(5);
/// Movements that are sent again to one that resumes; older ones it reads from the history.
const RESUMED_MAX: usize = 200;

/// Serves one watcher until it goes, its session ends, or the daemon stops.
pub fn serve(
    bank: Arc<Bank>,
    stop: Stop,
    signed_in: SignedIn,
    after_position: u64,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<v1::WatchReply, Status>> {
    let (sender, receiver) = mpsc::channel(REPLIES_WAITING_MAX);
    tokio::spawn(async move {
        let ends_in = signed_in.claims.exp.saturating_mul(1000) - bank.seams.now_ms();
        let session_ends = Duration::from_millis(u64::try_from(ends_in).unwrap_or(0));
        tokio::select! {
            biased;
            () = feed(&bank, &signed_in, after_position, &sender) => {}
            () = sender.closed() => {}
            () = stop.asked() => {}
            () = tokio::time::sleep(session_ends) => {
                // the reader may be gone by now
                let _ = sender.try_send(Err(Refusal::SessionExpired.into()));
            }
        }
        drop(permit);
    });
    ReceiverStream::new(receiver)
}

async fn feed(
    bank: &Arc<Bank>,
    signed_in: &SignedIn,
    after_position: u64,
    sender: &mpsc::Sender<Result<v1::WatchReply, Status>>,
) {
    // subscribed before the balances are read, so that nothing falls between
    let mut news = bank.shared.news.subscribe();
    let mut first = whole(bank, signed_in);
    let mut sent_position = first.position;
    if after_position > 0 {
        first.movements = resume(bank, signed_in, after_position, sent_position).await;
    }
    if sender.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        let reply = match tokio::time::timeout(SESSION_CHECK, news.recv()).await {
            Err(_) => None,
            Ok(Ok(batch)) if batch.position <= sent_position => None,
            Ok(Ok(batch)) => select(bank, signed_in, &batch),
            Ok(Err(broadcast::error::RecvError::Lagged(_))) => Some(whole(bank, signed_in)),
            Ok(Err(broadcast::error::RecvError::Closed)) => return,
        };
        if !bank.shared.read().sessions.contains_key(&signed_in.session) {
            // the reader may be gone by now
            let _ = sender.send(Err(Refusal::SessionExpired.into())).await;
            return;
        }
        let Some(reply) = reply else { continue };
        sent_position = sent_position.max(reply.position);
        if sender.send(Ok(reply)).await.is_err() {
            return;
        }
    }
}

fn whole(bank: &Bank, signed_in: &SignedIn) -> v1::WatchReply {
    let v1::AccountsReply { accounts, position } = bank.accounts_of(signed_in.person);
    v1::WatchReply { accounts, position, movements: Vec::new() }
}

fn own_numbers(bank: &Bank, signed_in: &SignedIn) -> HashSet<AccountNumber> {
    let state = bank.shared.read();
    state.people.get(&signed_in.person).map_or_else(HashSet::new, |p| p.accounts.iter().copied().collect())
}

/// What a batch says to this watcher, if anything. The balances are of now: at the batch or later.
fn select(bank: &Bank, signed_in: &SignedIn, batch: &News) -> Option<v1::WatchReply> {
    let own = own_numbers(bank, signed_in);
    if own.is_disjoint(&batch.accounts) {
        return None;
    }
    let mine =
        |(number, movement): &(AccountNumber, v1::Movement)| own.contains(number).then(|| movement.clone());
    let movements = batch.movements.iter().filter_map(mine).collect();
    let accounts = bank.accounts_of(signed_in.person).accounts;
    Some(v1::WatchReply { accounts, position: batch.position, movements })
}

async fn resume(
    bank: &Arc<Bank>,
    signed_in: &SignedIn,
    after_position: u64,
    until_position: u64,
) -> Vec<v1::Movement> {
    if bank.wait_projected(until_position).await.is_err() {
        return Vec::new();
    }
    let mut movements = Vec::new();
    for number in own_numbers(bank, signed_in) {
        let account = LedgerAccount::Customer(number);
        let currency = {
            let state = bank.shared.read();
            state.accounts.get(&number).map(|account| account.currency.code()).unwrap_or_default()
        };
        let read = move |reader: &crate::projection::ProjectionReader| {
            reader.movements_after(&account, after_position, RESUMED_MAX)
        };
        if let Ok(rows) = bank.read_projections(read).await {
            let shown = rows.into_iter().filter(|row| row.movement.position <= until_position);
            movements.extend(shown.map(|row| v1::Movement { currency: currency.to_owned(), ..row.movement }));
        }
    }
    movements.sort_by_key(|movement| movement.position);
    movements
}
