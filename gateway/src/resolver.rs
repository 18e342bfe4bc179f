//! The resolver: asks each bank for what is unfinished and drives it on. Any number of gateways may do so at
//! once; whatever they send twice changes nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use strife_config::ResolverSettings;
use strife_daemon::lifecycle::Stop;
use strife_proto::commit::coordinator::Start;
use strife_proto::commit::{Key, OrderHash};
use strife_proto::domain::ReceivedOrder;
use strife_proto::v1;
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;

use crate::drive::{Driver, Links, verdict_of};
use crate::link::BankLink;

/// Orders that this gateway's clients are waiting for: the resolver leaves them alone.
#[derive(Debug, Default)]
pub struct InHand(Mutex<HashSet<(Key, OrderHash)>>);

/// Taken off the list when dropped.
#[derive(Debug)]
pub struct Held {
    list: Arc<InHand>,
    what: (Key, OrderHash),
}

impl InHand {
    /// Takes an order in hand; `None` if it is already.
    pub fn take(self: &Arc<Self>, order: &ReceivedOrder) -> Option<Held> {
        let what = (order.key().clone(), order.hash());
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what.clone());
        new.then(|| Held { list: self.clone(), what })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.list.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

/// Asks every bank in turn, for ever.
pub async fn run(links: Arc<Links>, settings: ResolverSettings, in_hand: Arc<InHand>, stop: Stop) {
    let mut interval = tokio::time::interval(Duration::from_millis(settings.interval_ms));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = interval.tick() => {}
            () = stop.asked() => return,
        }
        let rounds = links.banks.values().map(|link| round(&links, link, &settings, &in_hand));
        tokio::select! {
            biased;
            _ = join_all(rounds) => {}
            () = stop.asked() => return,
        }
    }
}

async fn round(links: &Arc<Links>, link: &Arc<BankLink>, settings: &ResolverSettings, in_hand: &Arc<InHand>) {
    let list = v1::ListUnfinished {
        older_than_ms: settings.promise_age_ms_max,
        count_max: settings.unfinished_count_max,
        counterparts: links.banks.values().filter(|l| l.is_reachable()).map(|l| l.name.to_string()).collect(),
    };
    let answer = link.ask(Asked::ListUnfinished(list), "resolver", links.timeouts.decide_ms).await;
    let Ok(Reply::Unfinished(unfinished)) = answer else { return };
    let promises = unfinished.promises.into_iter().filter_map(|promise| {
        let order = promise.order?;
        Some((order.order, order.signature, Start::Promise(promise.vote?)))
    });
    let outcomes = unfinished.outcomes.into_iter().filter_map(|owed| {
        let outcome = owed.outcome?;
        let verdict = verdict_of(&outcome, &links.network)?;
        Some((owed.order, None, Start::Owed(verdict, outcome)))
    });
    let drives = promises.chain(outcomes).filter_map(|(bytes, signature, start)| {
        let order = match ReceivedOrder::decode(bytes) {
            Ok(order) => Arc::new(order),
            Err(refusal) => {
                tracing::error!(target: "strife::daemon", bank = %link.name, code = refusal.name(), "an unfinished order cannot be read");
                return None;
            }
        };
        let held = in_hand.take(&order)?;
        let what = if matches!(start, Start::Promise(_)) { "promise" } else { "outcome" };
        tracing::info!(target: "strife::rpc", method = "Resolver", what, bank = %link.name, transfer = %order.key());
        let driver = Driver::new(links.clone(), order, signature, Arc::from("resolver"));
        Some(async move {
            driver.run(start, None).await;
            drop(held);
        })
    });
    join_all(drives).await;
}
