//! Signs what a batch says, all of it at once. While a batch is decided its statements have no signature; before
//! anything of it is written, shown or sent, each gets its own.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use strife_proto::batch::sign_all;
use strife_proto::signing::SigningKey;
use strife_proto::v1;

use crate::command::Answer;
use crate::ledger::state::Changes;
use crate::ledger::{Entry, Kind};

/// Signatures by the body that they are of.
struct Seals(HashMap<Bytes, v1::Signature>);

impl Seals {
    fn set(&self, statement: &mut v1::Statement) {
        if statement.signature.is_none() {
            statement.signature = self.0.get(&statement.body).cloned();
        }
    }
}

/// Signs the bodies of a batch and puts the signatures wherever the batch has a statement without one.
pub(super) fn seal(
    key: &SigningKey,
    bodies: Vec<Bytes>,
    entries: &mut [Entry],
    answers: &mut [Answer],
    changes: &mut Changes,
) {
    if bodies.is_empty() {
        return;
    }
    let signatures = sign_all(key, &bodies);
    let seals = Seals(bodies.into_iter().zip(signatures).collect());
    for entry in entries {
        match &mut entry.kind {
            Kind::Outcome(outcome) => seals.set(&mut outcome.statement),
            Kind::Void { statement, .. } => seals.set(statement),
            Kind::Promised { vote, .. } => seals.set(vote),
            Kind::Posted { acknowledgement, .. } | Kind::Released { acknowledgement, .. } => {
                seals.set(acknowledgement);
            }
            Kind::Acknowledged { .. }
            | Kind::PersonAdded { .. }
            | Kind::DeviceAdded { .. }
            | Kind::AccountOpened { .. }
            | Kind::Cash { .. }
            | Kind::CapSet { .. } => {}
        }
    }
    for answer in answers {
        if let Answer::Statement(statement) | Answer::Outcome(statement, _) = answer {
            seals.set(statement);
        }
    }
    // what is committed has its signatures: a change without one is of this batch, and nobody else holds it
    let unsigned = |statement: &v1::Statement| statement.signature.is_none();
    for promise in changes.promises.values_mut().flatten().filter(|promise| unsigned(&promise.vote)) {
        seals.set(&mut Arc::make_mut(promise).vote);
    }
    let payers = changes.payers.values_mut().flatten();
    for known in payers.filter(|known| known.outcome.as_ref().is_some_and(unsigned)) {
        if let Some(outcome) = &mut Arc::make_mut(known).outcome {
            seals.set(outcome);
        }
    }
    changes.voids.values_mut().flatten().for_each(|known| seals.set(&mut known.statement));
    changes.payees.values_mut().flatten().for_each(|known| seals.set(&mut known.acknowledgement));
}
