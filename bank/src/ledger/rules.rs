//! The rules: may this money move? Pure: loaded state in, a code or the postings out.

use strife_faults::{Bug, planted};
use strife_proto::commit::payer::Standing;
use strife_proto::commit::{BankName, Code, Placement};
use strife_proto::domain::{AccountNumber, Money, Order, PayeeAccount};
use strife_proto::signing::KeyId;

use crate::ledger::entry::{LedgerAccount, Leg};
use crate::ledger::overlay::Overlay;
use crate::ledger::refund::may_refund;
use crate::ledger::state::{Account, AccountState, Internal};

/// What the rules say of an order at the payer's bank now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// For the protocol.
    pub standing: Standing,
    /// The payee's account, where payer and payee are both here.
    pub payee: Option<AccountNumber>,
}

/// Judges an order at the payer's bank. `signer` is the device whose signature was verified, if one was.
pub fn judge(overlay: &Overlay<'_>, order: &Order, signer: Option<KeyId>, now_ms: i64) -> Judged {
    let authorised = signer.is_some_and(|signer| may_pay_from(overlay, order.payer, signer));
    let expired = now_ms >= order.expires_at_ms;
    // first what can never be mended: a refund of too much is one whatever the account holds
    let refund = order
        .refund_of
        .as_ref()
        .map_or(Ok(()), |original| may_refund(original, overlay.credits.get(original), order));
    let debit = refund.and_then(|()| may_debit(overlay, order));
    let (ledger, payee) = if order.is_interbank() {
        (debit, None)
    } else {
        match debit.and_then(|()| find_payee(overlay, order)) {
            Ok(payee) => (Ok(()), Some(payee)),
            Err(code) => (Err(code), None),
        }
    };
    let predates_restore = predates_restore(order);
    Judged { standing: Standing { authorised, predates_restore, expired, ledger }, payee }
}

/// Whether this bank was restored from a backup after the order was made. No restore can be begun yet.
fn predates_restore(_: &Order) -> bool {
    false
}

/// Whether a device's owner has a right on an account.
pub fn may_pay_from(overlay: &Overlay<'_>, account: AccountNumber, signer: KeyId) -> bool {
    let device = overlay.devices.get(&signer);
    let account = overlay.accounts.get(&account);
    matches!((device, account), (Some(device), Some(account)) if device.person == account.person)
}

/// State, currency, funds of the payer's account: the first failure.
fn may_debit(overlay: &Overlay<'_>, order: &Order) -> Result<(), Code> {
    let account = overlay.accounts.get(&order.payer).ok_or(Code::UnknownAccount)?;
    is_open(account)?;
    takes_currency(account, order.amount)?;
    if account.available() < order.amount.minor_units() && !planted(Bug::FloorNotChecked) {
        return Err(Code::InsufficientFunds);
    }
    let due = overlay.settlements.get(&(order.payee.bank.clone(), order.amount.currency()));
    let due = due.map_or(0, |settlement| settlement.posted);
    if order.is_interbank() && due.checked_add(order.amount.minor_units()).is_none() {
        return Err(Code::BalanceLimit);
    }
    Ok(())
}

/// The account that an order's payee means at this bank, if it takes this money: exists, is open, takes the
/// currency, has room.
///
/// # Errors
/// The [`Code`] of the first check that fails.
pub fn find_payee(overlay: &Overlay<'_>, order: &Order) -> Result<AccountNumber, Code> {
    let number = match &order.payee.account {
        PayeeAccount::Number(number) => *number,
        PayeeAccount::Login(login) => {
            let person = overlay.logins.get(login).ok_or(Code::UnknownAccount)?;
            let person = overlay.people.get(person).ok_or(Code::UnknownAccount)?;
            let open = |number: &&AccountNumber| {
                overlay.accounts.get(number).is_some_and(|account| account.state != AccountState::Closed)
            };
            let matching = |number: &&AccountNumber| {
                overlay.accounts.get(number).is_some_and(|a| a.currency == order.amount.currency())
            };
            let mut candidates = person.accounts.iter().filter(open).peekable();
            if candidates.peek().is_none() {
                return Err(Code::UnknownAccount);
            }
            *candidates.find(matching).ok_or(Code::CurrencyMismatch)?
        }
    };
    let account = overlay.accounts.get(&number).ok_or(Code::UnknownAccount)?;
    is_open(account)?;
    takes_currency(account, order.amount)?;
    if !order.is_interbank() && number == order.payer {
        return Err(Code::SameAccount);
    }
    let room = account.posted.checked_add(account.incoming);
    if room.and_then(|sum| sum.checked_add(order.amount.minor_units())).is_none() {
        return Err(Code::BalanceLimit);
    }
    Ok(number)
}

/// Whether this bank may promise: the payee takes the money, and the payer's bank stays within its cap with
/// what is posted and promised.
///
/// # Errors
/// The [`Code`] of the first check that fails.
pub fn may_promise(overlay: &Overlay<'_>, order: &Order) -> Result<AccountNumber, Code> {
    let number = find_payee(overlay, order)?;
    let key = (order.key.bank.clone(), order.amount.currency());
    let settlement = overlay.settlements.get(&key).copied().unwrap_or_default();
    let exposure = i128::from(settlement.promised) - i128::from(settlement.posted);
    let passes = exposure + i128::from(order.amount.minor_units()) > i128::from(settlement.cap);
    if passes && !planted(Bug::CapNotChecked) {
        return Err(Code::SettlementCap);
    }
    Ok(number)
}

/// Where the money of a `Post` can go now: a promise's account unless it is gone, suspense otherwise. A
/// promise survives freezing.
pub fn placement(
    overlay: &Overlay<'_>,
    order: &Order,
    promised: Option<AccountNumber>,
) -> (Placement, Option<AccountNumber>) {
    let payee = match promised {
        Some(number) => overlay.accounts.get(&number).map(|_| number),
        None => find_payee(overlay, order).ok(),
    };
    match payee {
        Some(number) => (Placement::Account, Some(number)),
        None => (Placement::Suspense, None),
    }
}

fn is_open(account: &Account) -> Result<(), Code> {
    match account.state {
        AccountState::Open => Ok(()),
        AccountState::Frozen => Err(Code::AccountFrozen),
        AccountState::Closed => Err(Code::AccountClosed),
    }
}

fn takes_currency(account: &Account, amount: Money) -> Result<(), Code> {
    if account.currency == amount.currency() { Ok(()) } else { Err(Code::CurrencyMismatch) }
}

/// The postings of a transfer at the payer's bank: out of the payer's account, to the payee's account here or
/// to what is due to the payee's bank.
pub fn debit_legs(order: &Order, payee: Option<AccountNumber>) -> Vec<Leg> {
    let to = match payee {
        Some(number) => LedgerAccount::Customer(number),
        None => LedgerAccount::Settlement(order.payee.bank.clone(), order.amount.currency()),
    };
    legs(LedgerAccount::Customer(order.payer), to, order.amount)
}

/// The postings of a transfer at the payee's bank: from what is due from the payer's bank, to the payee's
/// account or to suspense.
pub fn credit_legs(order: &Order, payer_bank: &BankName, payee: Option<AccountNumber>) -> Vec<Leg> {
    let currency = order.amount.currency();
    let to = match payee {
        Some(number) => LedgerAccount::Customer(number),
        None => LedgerAccount::Internal(Internal::Suspense, currency),
    };
    legs(LedgerAccount::Settlement(payer_bank.clone(), currency), to, order.amount)
}

fn legs(from: LedgerAccount, to: LedgerAccount, amount: Money) -> Vec<Leg> {
    let minor_units = amount.minor_units();
    vec![Leg { account: from, minor_units: -minor_units }, Leg { account: to, minor_units }]
}
