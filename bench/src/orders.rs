//! Orders that are signed before the window, since clients run elsewhere in life, and the judgement of what came of
//! them. An answer that its bank has not signed must never count.

use std::sync::Arc;

use anyhow::{Context, bail};
use strife_proto::commit::{BankName, Verdict};
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;
use strife_proto::v1::transfer_reply::State;

use crate::Work;
use crate::people::People;
use crate::world::NETWORK;

/// An order that is ready to be sent.
pub(crate) struct Signed {
    /// Who sends it: bank and place.
    pub payer: (usize, usize),
    /// Its bytes, to be judged by.
    pub order: ReceivedOrder,
    /// What is sent.
    pub request: v1::SubmitRequest,
}

/// Orders of one kind of work, signed and not sent yet.
pub(crate) struct Orders {
    people: Arc<People>,
    work: Work,
    /// Accounts at the first bank that are paid instead of the people's own, one after another.
    payees: Vec<AccountNumber>,
    ready: Vec<Signed>,
    /// How many were ever signed: the next order's place in the pattern of who pays whom.
    signed: usize,
}

impl Orders {
    /// None yet.
    pub(crate) fn of(people: Arc<People>, work: Work) -> Self {
        Self { people, work, payees: Vec::new(), ready: Vec::new(), signed: 0 }
    }

    /// Has payments to the first bank spread over these accounts there.
    pub(crate) fn paying(mut self, payees: Vec<AccountNumber>) -> Self {
        self.payees = payees;
        self
    }

    /// Signs until so many are ready, and hands them out.
    ///
    /// # Errors
    /// Never for what this program makes.
    pub(crate) fn take(&mut self, count: usize) -> anyhow::Result<Vec<Signed>> {
        while self.ready.len() < count {
            let signed = self.sign(self.signed)?;
            self.ready.push(signed);
            self.signed += 1;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Takes back what was not sent.
    pub(crate) fn put_back(&mut self, unsent: Vec<Signed>) {
        self.ready = unsent;
    }

    /// Who pays whom: banks and people in turn, each payer with ever other payees.
    fn sign(&self, number: usize) -> anyhow::Result<Signed> {
        let at = &self.people.at;
        let (banks, round) = (at.len(), number / at.len());
        let one_sided = matches!(self.work, Work::HotPayee | Work::HotPayer | Work::Bulk);
        let from = if one_sided { 0 } else { number % banks };
        let step = if self.work == Work::SameBank { 0 } else { 1 + round % (banks - 1).max(1) };
        let to = (from + step) % banks;
        let (payers, payees) = (at[from].len(), at[to].len());
        let one_payer = matches!(self.work, Work::HotPayer | Work::Bulk);
        let payer = (from, if one_payer { 0 } else { round % payers });
        let place = if self.work == Work::HotPayee { 0 } else { (round + 1 + number / 64) % payees };
        // not to oneself
        let place = if (to, place) == payer { (place + 1) % payees } else { place };
        let payee = self.people.person((to, place))?;
        let spread = self.payees.get(round % self.payees.len().max(1)).filter(|_| to == 0);
        let payee: (AccountNumber, &BankName) = (*spread.unwrap_or(&payee.account), &payee.bank);
        let (order, request) = self.people.person(payer)?.order(payee)?;
        Ok(Signed { payer, order, request })
    }
}

/// What is sent for an order of a number, on whose behalf.
///
/// # Errors
/// All that were signed are spent.
pub(crate) fn submit(
    people: &People,
    orders: &[Signed],
    number: usize,
) -> anyhow::Result<(tonic::transport::Channel, tonic::Request<v1::SubmitRequest>)> {
    let signed = orders.get(number).context("all orders that were signed are spent")?;
    let payer = people.person(signed.payer)?;
    Ok((payer.channel.clone(), payer.call(signed.request.clone())))
}

/// An answer is what the payer's bank signed about that very order, and it is posted.
///
/// # Errors
/// It is not.
pub(crate) fn verify(people: &People, signed: &Signed, reply: &v1::TransferReply) -> anyhow::Result<()> {
    let roster = &people.trust.roster;
    let Some(State::Ended(statement)) = &reply.state else { bail!("an order was not decided in time") };
    let statement =
        Statement::verify(statement, NETWORK, |bank| roster.signing_key(bank), Some(&people.roots))?;
    let posted = statement.word == Word::Outcome(Verdict::Posted);
    if !posted || !statement.is_about(signed.order.key(), &signed.order.hash()) {
        bail!("an answer is not about its order, or does not post it: {statement:?}");
    }
    Ok(())
}
