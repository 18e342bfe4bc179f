//! The life of one transfer, for its payer and its payee alone. Somebody else, and the payee of a transfer that never
//! reached their bank's ledger, is told what is told of an unknown key.

use std::sync::Arc;

use strife_proto::commit::{Key, Verdict};
use strife_proto::domain::PayeeAccount;
use strife_proto::statement::{Statement, Word};
use strife_proto::{Refusal, v1};

use crate::bank::{Bank, SignedIn};
use crate::ledger::state::{PersonId, State};
use crate::projection::Recorded;

/// What this bank knows of a transfer.
///
/// # Errors
/// [`Refusal::NotFound`] for what is unknown here or another's; [`Refusal::Busy`] if the projections lag too far behind.
pub async fn read(bank: &Arc<Bank>, signed_in: &SignedIn, key: Key) -> Result<v1::LifeReply, Refusal> {
    // all that is committed by now is told
    let position = bank.shared.read().next_position - 1;
    bank.wait_projected(position).await?;
    let decided_here = key.bank == bank.own.bank;
    let recorded = bank
        .read_projections(move |reader| match decided_here {
            true => Ok(Vec::from_iter(reader.decided(&key)?)),
            false => reader.promised(&key),
        })
        .await?;
    let state = bank.shared.read();
    let own = recorded.into_iter().find(|recorded| {
        let payer = decided_here && is_payer(&state, recorded, signed_in.person);
        payer || is_payee(&state, recorded, signed_in)
    });
    own.map(|recorded| recorded.reply).ok_or(Refusal::NotFound)
}

fn is_payer(state: &State, recorded: &Recorded, person: PersonId) -> bool {
    let payer = recorded.order.order().payer;
    state.accounts.get(&payer).is_some_and(|account| account.person == person)
}

/// Whether it was promised or credited to an account of the person, or is in suspense because it could not be. Why a
/// payer's order was declined inside this bank is none of the payee's business.
fn is_payee(state: &State, recorded: &Recorded, signed_in: &SignedIn) -> bool {
    let person = signed_in.person;
    let owner = |number| state.accounts.get(number).map(|account| account.person);
    if let Some(number) = &recorded.payee {
        return owner(number) == Some(person);
    }
    let order = recorded.order.order();
    let declined = recorded.reply.outcome.as_ref().is_some_and(|outcome| {
        Statement::read(outcome, &order.network).map(|said| said.word) != Ok(Word::Outcome(Verdict::Posted))
    });
    let here = order.payee.bank == state.own.bank;
    let named = match &order.payee.account {
        PayeeAccount::Number(number) => owner(number),
        PayeeAccount::Login(login) => (login.as_str() == signed_in.claims.sub).then_some(person),
    };
    here && !declined && named == Some(person)
}
