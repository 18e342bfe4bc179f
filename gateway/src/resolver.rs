//! The resolver: asks each bank for what is unfinished and drives it on. Any number of gateways may do so at
//! once; whatever they send twice changes nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use strife_config::ResolverSettings;
use strife_daemon::lifecycle::Stop;
use strife_proto::commit::coordinator::Start;
use strife_proto::commit::{BankName, Key, OrderHash};
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

/// An order's bytes, the signature that a promise has of it, and where to begin.
type Unfinished = (bytes::Bytes, Option<v1::Signature>, Start<v1::Statement>);

/// Whether a bank may list this: promises are the payee's bank's, outcomes that it owes the payer's.
fn is_of<E>(bank: &BankName, order: &ReceivedOrder, start: &Start<E>) -> bool {
    match start {
        Start::Promise(_) => order.order().payee.bank == *bank,
        _ => order.key().bank == *bank,
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
    let drives = promises.chain(outcomes).filter_map(|(bytes, signature, start): Unfinished| {
        let order = match ReceivedOrder::decode(bytes) {
            Ok(order) => Arc::new(order),
            Err(refusal) => {
                tracing::error!(target: "strife::daemon", bank = %link.name, code = refusal.name(), "an unfinished order cannot be read");
                return None;
            }
        };
        let what = if matches!(start, Start::Promise(_)) { "promise" } else { "outcome" };
        if !is_of(&link.name, &order, &start) {
            tracing::error!(
                target: "strife::daemon",
                peer = %link.name, what, transfer = %order.key(), payees_bank = %order.order().payee.bank,
                "a bank lists what is another's; it is left alone"
            );
            return None;
        }
        let held = in_hand.take(&order)?;
        tracing::info!(target: "strife::rpc", method = "Resolver", what, bank = %link.name, transfer = %order.key());
        let driver = Driver::new(links.clone(), order, signature, Arc::from("resolver"));
        Some(async move {
            driver.run(start, None).await;
            drop(held);
        })
    });
    join_all(drives).await;
}

#[cfg(test)]
mod tests {
    use strife_proto::commit::{TransferId, Verdict};
    use strife_proto::domain::{AccountNumber, Currency, Money, Order};

    use super::*;

    #[test]
    fn a_bank_may_list_promises_to_its_own_payees_and_its_own_outcomes_alone() {
        let bank = |name: &str| BankName::new(name).unwrap();
        let order = Order {
            network: "test".into(),
            key: Key { bank: bank("Bank1"), id: TransferId([7; 16]) },
            payer: AccountNumber::from_body(1_000_000_001).unwrap(),
            payee: "user2@Bank2".parse().unwrap(),
            amount: Money::new(1, Currency::new("EUR").unwrap()).unwrap(),
            memo: String::new(),
            made_at_ms: 0,
            expires_at_ms: 1,
            refund_of: None,
        };
        let order = ReceivedOrder::decode(order.encode()).unwrap();
        for (name, promise, outcome) in
            [("Bank1", false, true), ("Bank2", true, false), ("Bank3", false, false)]
        {
            assert_eq!(is_of(&bank(name), &order, &Start::Promise(())), promise, "{name}");
            assert_eq!(is_of(&bank(name), &order, &Start::Owed(Verdict::Posted, ())), outcome, "{name}");
        }
    }
}
