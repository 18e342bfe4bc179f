//! Refunds in the load: of all, of half, of too much, several at once, of what is not credited yet, of what was paid to
//! somebody else, back to somebody else, and of refunds.

use futures::future::join_all;
use rand::Rng;
use rand::seq::IndexedRandom;
use strife_client::{AccountRef, Money, PayeeAccount, TransferId};
use strife_proto::commit::Key;
use strife_proto::domain::Order;

use super::{One, Signed};
use crate::auditor::{Audited, Ended, Nature};

impl One {
    /// Refunds something, once or several times at once; `false` if there is nothing that could be.
    pub(super) async fn refund(&mut self) -> bool {
        let Some(original) = self.some_payment() else { return false };
        let count = if self.random.random_ratio(1, 3) { 3 } else { 1 };
        let refunds: Vec<Signed> = (0..count).map(|_| self.refund_of(&original)).collect();
        if let [refund] = refunds.as_slice() {
            self.try_often(refund).await;
            return true;
        }
        let hands: Vec<One> = refunds.iter().map(|_| self.copy()).collect();
        join_all(hands.into_iter().zip(&refunds).map(|(hand, refund)| hand.send_once(refund))).await;
        for refund in &refunds {
            self.try_often(refund).await;
        }
        true
    }

    /// Mostly a payment that has come to this person; sometimes one on its way, or somebody else's.
    fn some_payment(&mut self) -> Option<Order> {
        let own = (self.me().bank.clone(), self.me().account);
        let (strangers, early) = (self.random.random_ratio(1, 12), self.random.random_ratio(1, 6));
        let fits = |audited: &&Audited, to_me: bool| {
            let order = &audited.order;
            let posted = matches!(audited.ended, Some((_, Ended::Posted)));
            let by_me = (&order.key.bank, order.payer) == (&own.0, own.1);
            let open = audited.ended.is_none() && audited.asked.is_some();
            !audited.nature.refused && to_me != strangers && !by_me && if early { open } else { posted }
        };
        let orders: Vec<Order> = self.workload.recorder.with(|auditor| {
            let fitting = auditor
                .orders()
                .values()
                .filter(|audited| fits(audited, auditor.payee_of(&audited.order).as_ref() == Some(&own)));
            fitting.map(|audited| audited.order.clone()).collect()
        });
        orders.choose(&mut self.random).cloned()
    }

    fn refund_of(&mut self, original: &Order) -> Signed {
        let paid = original.amount.minor_units();
        let minor_units = match self.random.random_range(0..8) {
            0..3 => (paid / 2).max(1),
            3 | 4 => paid,
            5 => paid + self.random.random_range(1..500),
            _ => self.random.random_range(1..=paid),
        };
        let back =
            AccountRef { account: PayeeAccount::Number(original.payer), bank: original.key.bank.clone() };
        let now_ms = self.seams.now_ms();
        let order = Order {
            network: original.network.clone(),
            key: Key { bank: self.me().bank.clone(), id: TransferId(self.seams.new_id().unwrap()) },
            payer: self.me().account,
            payee: if self.random.random_ratio(1, 16) { self.payee() } else { back },
            amount: Money::new(minor_units, original.amount.currency()).unwrap(),
            memo: String::new(),
            made_at_ms: now_ms,
            expires_at_ms: now_ms + 7 * 86_400_000,
            refund_of: Some(original.key.clone()),
        };
        self.sign(&order, Nature::default())
    }
}
