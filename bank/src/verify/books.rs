//! What must hold of a state at every moment: sums (I1), floors and caps (I8). One place, for the verification of a
//! running bank and of a folder.

use crate::ledger::state::Account;
use crate::ledger::{Entry, Kind, LedgerAccount, State};

/// What is wrong with the whole state.
pub(super) fn of_state(state: &State) -> Vec<String> {
    let mut wrong = Vec::new();
    for currency in state.currencies() {
        let sum = state.sum(currency);
        if sum != 0 {
            wrong.push(format!("I1: the balances of {currency} sum to {sum}, not to zero"));
        }
    }
    for (number, account) in &state.accounts {
        if account.available() < 0 {
            wrong.push(format!("I8: account {number} is below its floor"));
        }
    }
    wrong
}

/// What an entry has made wrong: the state is the one after it.
pub fn after_entry(state: &State, entry: &Entry) -> Vec<String> {
    let mut wrong = Vec::new();
    let sum: i128 = entry.legs.iter().map(|leg| i128::from(leg.minor_units)).sum();
    if sum != 0 {
        wrong.push(format!("I1: its legs sum to {sum}, not to zero"));
    }
    for leg in entry.legs.iter().filter(|leg| leg.minor_units < 0) {
        let LedgerAccount::Customer(number) = &leg.account else { continue };
        let account = state.accounts.get(number);
        // what is above the floor
        if let Some(available) = account.map(Account::available).filter(|available| *available < 0) {
            wrong.push(format!(
                "I8: account {number} is {} below its floor after it",
                available.unsigned_abs()
            ));
        }
    }
    if let Kind::Promised { order, .. } = &entry.kind {
        let (bank, currency) = (&order.key().bank, order.order().amount.currency());
        let settlement = state.settlements.get(&(bank.clone(), currency));
        // what the other bank owes stands negative here
        let exposure =
            settlement.map(|settlement| i128::from(settlement.promised) - i128::from(settlement.posted));
        let cap = settlement.map_or(0, |settlement| settlement.cap);
        if let Some(exposure) = exposure.filter(|exposure| *exposure > i128::from(cap)) {
            wrong.push(format!("I8: {bank} owes {exposure} {currency} with it, and its cap is {cap}"));
        }
    }
    wrong
}
