//! Refunds: money that this bank has credited to an account of its own may go back to where it came from, and never
//! more of it than came (I15). Pure, like every rule: what is known of the original comes in, a code goes out.
//!
//! A refund is an order like any other. Its payer's bank is the bank that credited the original, so that the decision
//! is taken, in one durable batch, by the one bank that knows both the credit and all refunds of it so far. A refund
//! cannot be refunded: the one who got money back sends it again as a payment, and no chain of refunds can hide how
//! much of a payment is left.

use strife_faults::{Bug, planted};
use strife_proto::commit::{Code, Key, OrderHash};
use strife_proto::domain::{AccountNumber, Money, Order, PayeeAccount, ReceivedOrder};

/// A payment that this bank has credited to an account of its own, and how much of it has gone back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// SHA-256 of the payment's bytes. Of several orders that a payer's bank has posted under one key, against the
    /// protocol, the first is the one that can be refunded.
    pub hash: OrderHash,
    /// The account that was credited: it alone may refund.
    pub account: AccountNumber,
    /// The account that paid, at the bank of the payment's key: it alone may be refunded.
    pub payer: AccountNumber,
    /// How much was paid.
    pub amount: Money,
    /// Sum of the refunds that are posted, in minor units.
    pub refunded: i64,
    /// Journal position of the last change.
    pub position: u64,
}

impl Credit {
    /// The credit that a posting of an order to an account here makes; `None` for a refund, which cannot be refunded.
    pub fn of(order: &ReceivedOrder, account: AccountNumber, position: u64) -> Option<Self> {
        let said = order.order();
        said.refund_of.is_none().then(|| Self {
            hash: order.hash(),
            account,
            payer: said.payer,
            amount: said.amount,
            refunded: 0,
            position,
        })
    }

    /// What may still be refunded, in minor units.
    pub fn refundable(&self) -> i64 {
        self.amount.minor_units().saturating_sub(self.refunded).max(0)
    }
}

/// Whether an order may be posted as the refund that it says it is, `credit` being what is known of its original here.
///
/// # Errors
/// [`Code::NotRefundable`] where the original is not credited here to the very account that now pays, or the order
/// does not go back to the very account that paid it, in the same currency; [`Code::RefundExceeds`] where all refunds
/// together would come to more than the original.
pub fn may_refund(original: &Key, credit: Option<&Credit>, order: &Order) -> Result<(), Code> {
    let credit = credit.ok_or(Code::NotRefundable)?;
    let from_there = order.payer == credit.account;
    // by number: which account a log-in name means is the other bank's to say, and may change
    let back = order.payee.bank == original.bank && order.payee.account == PayeeAccount::Number(credit.payer);
    if !from_there || !back || order.amount.currency() != credit.amount.currency() {
        return Err(Code::NotRefundable);
    }
    let refunded = if planted(Bug::RefundsNotSummed) { 0 } else { credit.refunded };
    match refunded.checked_add(order.amount.minor_units()) {
        Some(sum) if sum <= credit.amount.minor_units() => Ok(()),
        _ => Err(Code::RefundExceeds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strife_proto::commit::{BankName, TransferId};
    use strife_proto::domain::Currency;

    const OURS: u64 = 1_000_000_001;
    const THEIRS: u64 = 2_000_000_001;

    fn number(body: u64) -> AccountNumber {
        AccountNumber::from_body(body).unwrap()
    }

    fn money(minor_units: i64) -> Money {
        Money::new(minor_units, Currency::new("EUR").unwrap()).unwrap()
    }

    fn original() -> Key {
        Key { bank: BankName::new("Bank2").unwrap(), id: TransferId([1; 16]) }
    }

    fn credit(refunded: i64) -> Credit {
        Credit {
            hash: OrderHash([5; 32]),
            account: number(OURS),
            payer: number(THEIRS),
            amount: money(100),
            refunded,
            position: 7,
        }
    }

    fn refund(minor_units: i64) -> Order {
        Order {
            network: "demo".into(),
            key: Key { bank: BankName::new("Bank1").unwrap(), id: TransferId([2; 16]) },
            payer: number(OURS),
            payee: format!("{}@Bank2", number(THEIRS)).parse().unwrap(),
            amount: money(minor_units),
            memo: String::new(),
            made_at_ms: 0,
            expires_at_ms: 1,
            refund_of: Some(original()),
        }
    }

    #[test]
    fn a_payment_goes_back_in_parts_and_never_more_than_was_paid() {
        for (refunded, amount, verdict) in [
            (0, 1, Ok(())),
            (0, 100, Ok(())),
            (50, 50, Ok(())),
            (0, 101, Err(Code::RefundExceeds)),
            (50, 51, Err(Code::RefundExceeds)),
            (100, 1, Err(Code::RefundExceeds)),
            (100, i64::MAX, Err(Code::RefundExceeds)),
        ] {
            let credit = credit(refunded);
            assert_eq!(
                may_refund(&original(), Some(&credit), &refund(amount)),
                verdict,
                "{refunded} {amount}"
            );
            assert_eq!(credit.refundable(), 100 - refunded);
        }
    }

    #[test]
    fn only_from_the_account_that_was_credited_back_to_the_account_that_paid() {
        let may = |order: Order| may_refund(&original(), Some(&credit(0)), &order);
        let refuses = |change: fn(&mut Order)| {
            let mut order = refund(10);
            change(&mut order);
            assert_eq!(may(order.clone()), Err(Code::NotRefundable), "{order:?}");
        };
        assert_eq!(may(refund(10)), Ok(()));
        refuses(|order| order.payer = number(OURS + 1));
        refuses(|order| order.payee = format!("{}@Bank2", number(THEIRS + 1)).parse().unwrap());
        refuses(|order| order.payee = format!("{}@Bank3", number(THEIRS)).parse().unwrap());
        refuses(|order| order.payee = "somebody@Bank2".parse().unwrap());
        refuses(|order| order.amount = Money::new(10, Currency::new("USD").unwrap()).unwrap());
        assert_eq!(may_refund(&original(), None, &refund(10)), Err(Code::NotRefundable), "unknown");
    }

    #[test]
    fn a_refund_makes_no_credit_that_could_be_refunded() {
        let received = |order: Order| ReceivedOrder::decode(order.encode()).unwrap();
        assert_eq!(Credit::of(&received(refund(10)), number(THEIRS), 1), None);
        let payment = received(Order { refund_of: None, ..refund(10) });
        assert_eq!(Credit::of(&payment, number(THEIRS), 1).map(|credit| credit.refundable()), Some(10));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_refunds_never_exceed_the_payment(
            amounts in proptest::collection::vec(1i64..60, 0..12),
        ) {
            let mut credit = credit(0);
            for amount in amounts {
                if may_refund(&original(), Some(&credit), &refund(amount)).is_ok() {
                    credit.refunded += amount;
                }
                prop_assert!(credit.refunded <= 100);
            }
        }
    }
}
