//! One entry against what this bank would have written: the statements are about its order and at its position, and
//! the postings are those of the rules.

use strife_proto::commit::{Acknowledgement, BankName, Placement, Verdict, Vote};
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;

use crate::ledger::State;
use crate::ledger::entry::{Entry, Kind, LedgerAccount, OutcomeEntry};
use crate::ledger::rules::{credit_legs, debit_legs};
use crate::ledger::state::Internal;

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("its order is of another bank or network")]
    ForeignOrder,
    #[error("a statement in it is not about its order")]
    Statement,
    #[error("its own statement names another journal position")]
    Position,
    #[error("its postings are not those of its order")]
    Legs,
    #[error("its account number is not the next one")]
    Number,
}

/// Checks an entry before it is applied.
pub(super) fn check(state: &State, entry: &Entry, position: u64) -> Result<(), Wrong> {
    let own = &state.own.bank;
    let network = state.own.network.as_str();
    let about = |statement: &v1::Statement, order: &ReceivedOrder, by: &BankName| {
        let said = Statement::read(statement, network).map_err(|_| Wrong::Statement)?;
        let fits = said.bank == *by && said.is_about(order.key(), &order.hash());
        if fits { Ok(said) } else { Err(Wrong::Statement) }
    };
    // what this bank has signed when it wrote this entry
    let recorded = |statement: &v1::Statement, order: &ReceivedOrder| {
        let said = about(statement, order, own)?;
        if said.position == position { Ok(said.word) } else { Err(Wrong::Position) }
    };
    let mut legs = Vec::new();
    match &entry.kind {
        Kind::PersonAdded { .. } | Kind::DeviceAdded { .. } | Kind::CapSet { .. } => {}
        Kind::AccountOpened { number, .. } => {
            let next = AccountNumber::from_body(state.next_account_body);
            ensure(next == Some(*number), Wrong::Number)?;
        }
        Kind::Cash { account, .. } => return cash(entry, *account),
        Kind::Outcome(outcome) => {
            let OutcomeEntry { order, statement, verdict, payee, .. } = outcome.as_ref();
            ensure(order.key().bank == *own && order.order().network == network, Wrong::ForeignOrder)?;
            ensure(recorded(statement, order)? == Word::Outcome(*verdict), Wrong::Statement)?;
            if *verdict == Verdict::Posted {
                legs = debit_legs(order.order(), *payee);
            }
        }
        Kind::Void { order, statement, .. } => {
            ensure(order.key().bank == *own, Wrong::ForeignOrder)?;
            ensure(recorded(statement, order)? == Word::Void, Wrong::Statement)?;
        }
        Kind::Acknowledged { acknowledgement } => {
            let said = Statement::read(acknowledgement, network).map_err(|_| Wrong::Statement)?;
            let fits = matches!(said.word, Word::Acknowledgement(_)) && said.key.bank == *own;
            ensure(fits, Wrong::Statement)?;
        }
        Kind::Promised { order, vote, .. } => {
            ensure(order.order().payee.bank == *own, Wrong::ForeignOrder)?;
            ensure(recorded(vote, order)? == Word::Vote(Vote::Yes), Wrong::Statement)?;
        }
        Kind::Posted { order, outcome, payee, acknowledgement, .. } => {
            ensure(order.order().payee.bank == *own, Wrong::ForeignOrder)?;
            let said = about(outcome, order, &order.key().bank)?;
            ensure(said.word == Word::Outcome(Verdict::Posted), Wrong::Statement)?;
            let placement = if payee.is_some() { Placement::Account } else { Placement::Suspense };
            let credited = Word::Acknowledgement(Acknowledgement::Credited(placement));
            ensure(recorded(acknowledgement, order)? == credited, Wrong::Statement)?;
            legs = credit_legs(order.order(), &order.key().bank, *payee);
        }
        Kind::Released { order, statement, acknowledgement, .. } => {
            ensure(order.order().payee.bank == *own, Wrong::ForeignOrder)?;
            let said = about(statement, order, &order.key().bank)?;
            let ends = said.ends(order.key(), &order.hash());
            ensure(ends && said.word != Word::Outcome(Verdict::Posted), Wrong::Statement)?;
            let released = Word::Acknowledgement(Acknowledgement::Released);
            ensure(recorded(acknowledgement, order)? == released, Wrong::Statement)?;
        }
    }
    ensure(entry.legs == legs, Wrong::Legs)
}

/// From or to the bank's cash account, and nowhere else.
fn cash(entry: &Entry, account: AccountNumber) -> Result<(), Wrong> {
    let fits = match entry.legs.as_slice() {
        [cash, customer] => {
            matches!(cash.account, LedgerAccount::Internal(Internal::Cash, _))
                && customer.account == LedgerAccount::Customer(account)
        }
        _ => false,
    };
    ensure(fits, Wrong::Legs)
}

fn ensure(holds: bool, otherwise: Wrong) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(otherwise) }
}
