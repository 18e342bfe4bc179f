//! One command on a batch: drives the protocol's machines with what the rules say, and records what they want
//! recorded.

use std::sync::Arc;

use strife_faults::{Bug, planted};
use strife_proto::Refusal;
use strife_proto::commit::payee::{self, Payee};
use strife_proto::commit::payer::{self, Ballot, Payer};
use strife_proto::commit::{Acknowledgement, Key, OrderHash, Verdict, Vote};
use strife_proto::domain::{AccountNumber, Currency, ReceivedOrder};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;

use super::{Batch, Writer};
use crate::command::{Answer, Command, Said, SignedOrder};
use crate::journal::{PersonRow, Row};
use crate::ledger::entry::{Entry, Kind, LedgerAccount, Leg, OutcomeEntry};
use crate::ledger::state::{Internal, PayerKnown, Person, PersonId, Request, Session};
use crate::ledger::{ApplyError, rules};

impl Writer {
    /// Decides one command.
    ///
    /// # Errors
    /// [`ApplyError`] if what was decided does not fit the ledger; the batch is then not to be used.
    pub(super) fn decide(&self, batch: &mut Batch<'_>, command: &Command) -> Result<Answer, ApplyError> {
        match command {
            Command::Decide { order, vote, too_far } => {
                let mut judged =
                    rules::judge(&batch.overlay, order.order.order(), order.signer, batch.now_ms);
                judged.standing.expired |= too_far;
                let ballot = match vote {
                    Some((vote, said)) => Ballot::Vote { hash: said.statement.hash, vote: *vote },
                    None => Ballot::NotNeeded,
                };
                let event =
                    payer::Event::Decide { hash: order.order.hash(), standing: judged.standing, ballot };
                let vote = vote.as_ref().map(|(_, said)| said.wire.clone());
                self.payer(batch, order, event, judged.payee, vote, None)
            }
            Command::Inquire(order) => {
                let said = order.order.order();
                let judged = rules::judge(&batch.overlay, said, order.signer, batch.now_ms);
                let event = payer::Event::Inquire {
                    hash: order.order.hash(),
                    standing: judged.standing,
                    interbank: said.is_interbank(),
                };
                self.payer(batch, order, event, None, None, None)
            }
            Command::Cancel(order) => {
                let said = order.order.order();
                let authorised = order
                    .signer
                    .is_some_and(|signer| rules::may_pay_from(&batch.overlay, said.payer, signer));
                let event = payer::Event::Cancel {
                    hash: order.order.hash(),
                    authorised,
                    interbank: said.is_interbank(),
                };
                self.payer(batch, order, event, None, None, Some(&order.signature))
            }
            Command::Acknowledge(said) => self.acknowledge(batch, said),
            Command::Prepare(order) => self.prepare(batch, order),
            Command::Post { order, said } => self.deliver(batch, order, said, true),
            Command::Release { order, said } => self.deliver(batch, order, said, false),
            Command::SignIn { person, device, session, expires_at_ms } => {
                if batch.overlay.devices.get(&device.id()).is_some_and(|known| known.person != *person) {
                    return Ok(Answer::Refused(Refusal::NotAllowed));
                }
                if batch.overlay.devices.get(&device.id()).is_none() {
                    let kind = Kind::DeviceAdded { person: *person, public: *device };
                    batch.record(entry(batch.now_ms, Vec::new(), kind))?;
                }
                batch.rows.push(Row::Session {
                    id: *session,
                    person: *person,
                    expires_at_ms: *expires_at_ms,
                });
                let row = Session { person: *person, expires_at_ms: *expires_at_ms };
                batch.overlay.sessions.insert(*session, row);
                Ok(Answer::Noted)
            }
            Command::SignOut(session) => {
                batch.rows.push(Row::SessionEnded(*session));
                batch.overlay.sessions.remove(session);
                Ok(Answer::Noted)
            }
            Command::AddPerson(row) => self.add_person(batch, row),
            Command::OpenAccount { person, currency, name, request } => {
                open_account(batch, *person, *currency, name, *request)
            }
            Command::Cash { account, minor_units, currency, reason, operator, request } => {
                let kind = Kind::Cash {
                    account: *account,
                    reason: reason.clone(),
                    operator: operator.clone(),
                    request: *request,
                };
                book_cash(batch, *account, *minor_units, *currency, kind, *request)
            }
            Command::SetCap { counterpart, currency, cap, operator } => {
                let position = batch.overlay.next_position;
                let kind = Kind::CapSet {
                    counterpart: counterpart.clone(),
                    currency: *currency,
                    cap: *cap,
                    operator: operator.clone(),
                };
                batch.record(entry(batch.now_ms, Vec::new(), kind))?;
                Ok(Answer::Position(position))
            }
        }
    }

    /// The payer's bank: one event on one key.
    fn payer(
        &self,
        batch: &mut Batch<'_>,
        order: &SignedOrder,
        event: payer::Event,
        payee: Option<AccountNumber>,
        vote: Option<v1::Statement>,
        cancel: Option<&v1::Signature>,
    ) -> Result<Answer, ApplyError> {
        let (key, hash) = (order.order.key(), order.order.hash());
        let known = batch.overlay.payers.get(key).cloned().unwrap_or_default();
        let void = batch.overlay.voids.get(&(key.clone(), hash)).cloned();
        let mut machine: Payer = known.payer.clone();
        if void.is_some() {
            machine.apply(payer::Record::Void { hash });
        }
        let mut answer = Answer::Unavailable;
        for effect in machine.handle(event) {
            match effect {
                payer::Effect::Record(payer::Record::Outcome { verdict, owed, .. }) => {
                    let said = order.order.order();
                    let legs = match verdict {
                        Verdict::Posted => rules::debit_legs(said, payee),
                        Verdict::Declined(_) => Vec::new(),
                    };
                    let statement = self.say(batch, key, hash, Word::Outcome(verdict), true);
                    let outcome = OutcomeEntry {
                        order: order.order.clone(),
                        signature: cancel.is_none().then(|| order.signature.clone()),
                        verdict,
                        statement: statement.clone(),
                        vote: vote.clone(),
                        owed,
                        payee: payee.filter(|_| verdict == Verdict::Posted),
                        cancel: cancel.cloned(),
                    };
                    batch.record(entry(batch.now_ms, legs, Kind::Outcome(Box::new(outcome))))?;
                    answer = Answer::Outcome(statement, None);
                }
                payer::Effect::Record(payer::Record::Void { .. }) => {
                    let statement = self.say(batch, key, hash, Word::Void, true);
                    let kind = Kind::Void {
                        order: order.order.clone(),
                        signature: order.signature.clone(),
                        statement: statement.clone(),
                    };
                    batch.record(entry(batch.now_ms, Vec::new(), kind))?;
                    answer = Answer::Statement(statement);
                }
                // Decide, Inquire and Cancel record no acknowledgement
                payer::Effect::Record(payer::Record::Acknowledged { .. }) => {}
                payer::Effect::Reply(reply) if answer == Answer::Unavailable => {
                    answer = match reply {
                        payer::Answer::Outcome(_) => match &known.outcome {
                            Some(statement) => {
                                Answer::Outcome(statement.clone(), known.acknowledgement.clone())
                            }
                            None => Answer::Unavailable,
                        },
                        payer::Answer::Void => void
                            .as_ref()
                            .map_or(Answer::Unavailable, |void| Answer::Statement(void.statement.clone())),
                        payer::Answer::Conflict => {
                            Answer::Statement(self.say(batch, key, hash, Word::Conflict, false))
                        }
                        payer::Answer::Undecided => Answer::Undecided,
                        payer::Answer::Noted => Answer::Noted,
                        payer::Answer::Refused(why) => Answer::Refused(refusal(why)),
                    };
                }
                payer::Effect::Reply(_) => {}
            }
        }
        Ok(answer)
    }

    fn acknowledge(&self, batch: &mut Batch<'_>, said: &Said) -> Result<Answer, ApplyError> {
        let known = batch.overlay.payers.get(&said.statement.key).cloned().unwrap_or_default();
        let mut machine = known.payer.clone();
        if known.payer.is_owed() && !acknowledges(&known, said) {
            let (key, bank) = (&said.statement.key, &said.statement.bank);
            tracing::error!(target: "strife::daemon", %key, %bank, "an acknowledgement that does not fit its outcome");
            return Ok(Answer::Refused(Refusal::OutOfPlace));
        }
        let mut answer = Answer::Unavailable;
        for effect in machine.handle(payer::Event::Acknowledge { hash: said.statement.hash }) {
            match effect {
                payer::Effect::Record(_) => {
                    let kind = Kind::Acknowledged { acknowledgement: said.wire.clone() };
                    batch.record(entry(batch.now_ms, Vec::new(), kind))?;
                    batch.news.accounts.extend(known.payer_account);
                }
                payer::Effect::Reply(payer::Answer::Refused(why)) => answer = Answer::Refused(refusal(why)),
                payer::Effect::Reply(_) => answer = Answer::Noted,
            }
        }
        Ok(answer)
    }

    fn prepare(&self, batch: &mut Batch<'_>, order: &SignedOrder) -> Result<Answer, ApplyError> {
        let (key, hash) = (order.order.key(), order.order.hash());
        let said = order.order.order();
        let both = (key.clone(), hash);
        if let Some(promise) = batch.overlay.promises.get(&both) {
            return Ok(Answer::Statement(promise.vote.clone()));
        }
        let mut machine = batch.overlay.payees.get(&both).map_or(Payee::Unknown, |known| known.payee);
        let payer_account = (key.bank.clone(), said.payer);
        let open = batch.overlay.promise_counts.get(&payer_account).copied().unwrap_or(0);
        if machine == Payee::Unknown && open >= self.promises_per_payer_max {
            return Ok(Answer::Refused(Refusal::Busy));
        }
        let check = rules::may_promise(&batch.overlay, said);
        let mut answer = Answer::Unavailable;
        for effect in machine.handle(payee::Event::Prepare { check: check.map(|_| ()) }) {
            match (effect, check) {
                (payee::Effect::Record(_), Ok(number)) => {
                    let vote = self.say(batch, key, hash, Word::Vote(Vote::Yes), true);
                    let kind = Kind::Promised {
                        order: order.order.clone(),
                        signature: order.signature.clone(),
                        vote: vote.clone(),
                        payee: number,
                    };
                    batch.record(entry(batch.now_ms, Vec::new(), kind))?;
                    batch.news.accounts.insert(number);
                    answer = Answer::Statement(vote);
                }
                (payee::Effect::Reply(payee::Answer::Vote(vote)), _) if answer == Answer::Unavailable => {
                    answer = Answer::Statement(self.say(batch, key, hash, Word::Vote(vote), false));
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// `Post` or `Release` at the payee's bank.
    fn deliver(
        &self,
        batch: &mut Batch<'_>,
        order: &Arc<ReceivedOrder>,
        said: &Said,
        post: bool,
    ) -> Result<Answer, ApplyError> {
        let (key, hash) = (order.key(), order.hash());
        let both: (Key, OrderHash) = (key.clone(), hash);
        let promised = batch.overlay.promises.get(&both).map(|promise| promise.payee);
        let known = batch.overlay.payees.get(&both).cloned();
        let mut machine = match (&known, promised) {
            (Some(known), _) => known.payee,
            (None, Some(_)) => Payee::Promised,
            (None, None) => Payee::Unknown,
        };
        let (placement, number) = rules::placement(&batch.overlay, order.order(), promised);
        let expired = planted(Bug::PromiseExpires)
            && batch.overlay.promises.get(&both).is_some_and(|promise| batch.now_ms - promise.at_ms > 500);
        let event = if post && !expired { payee::Event::Post { placement } } else { payee::Event::Release };
        let mut answer = Answer::Unavailable;
        for effect in machine.handle(event) {
            match effect {
                payee::Effect::Record(record) => {
                    let (legs, word) = match record {
                        payee::Record::Posted { placement, .. } => (
                            rules::credit_legs(order.order(), &key.bank, number),
                            Acknowledgement::Credited(placement),
                        ),
                        _ => (Vec::new(), Acknowledgement::Released),
                    };
                    let acknowledgement = self.say(batch, key, hash, Word::Acknowledgement(word), true);
                    let kind = match record {
                        payee::Record::Posted { promised, .. } => Kind::Posted {
                            order: order.clone(),
                            outcome: said.wire.clone(),
                            payee: number,
                            promised,
                            acknowledgement: acknowledgement.clone(),
                        },
                        _ => Kind::Released {
                            order: order.clone(),
                            statement: said.wire.clone(),
                            promised: promised.is_some(),
                            acknowledgement: acknowledgement.clone(),
                        },
                    };
                    batch.record(entry(batch.now_ms, legs, kind))?;
                    batch.news.accounts.extend(promised);
                    answer = Answer::Statement(acknowledgement);
                }
                payee::Effect::Alert(alert) => {
                    tracing::error!(target: "strife::daemon", ?alert, %key, "look at this transfer");
                }
                payee::Effect::Reply(payee::Answer::Contradiction) => {
                    answer = Answer::Refused(Refusal::Contradiction);
                }
                payee::Effect::Reply(_) => {
                    if let (Answer::Unavailable, Some(known)) = (&answer, &known) {
                        answer = Answer::Statement(known.acknowledgement.clone());
                    }
                }
            }
        }
        Ok(answer)
    }

    fn add_person(&self, batch: &mut Batch<'_>, row: &PersonRow) -> Result<Answer, ApplyError> {
        let Ok(login) = row.login.parse() else { return Ok(Answer::Refused(Refusal::BadAccount)) };
        if batch.overlay.logins.contains_key(&login) {
            return Ok(Answer::Refused(Refusal::AlreadyExists));
        }
        let kind = Kind::PersonAdded { person: row.id, row_digest: self.store.digest(row) };
        batch.record(entry(batch.now_ms, Vec::new(), kind))?;
        batch.overlay.logins.insert(login, row.id);
        batch.overlay.people.insert(row.id, Person::default());
        batch.rows.push(Row::Person(row.clone()));
        Ok(Answer::Noted)
    }

    /// This bank's word, to be signed with all others of the batch; `recorded` says that the entry recorded next stands
    /// behind it.
    fn say(
        &self,
        batch: &mut Batch<'_>,
        key: &Key,
        hash: OrderHash,
        word: Word,
        recorded: bool,
    ) -> v1::Statement {
        let own = batch.overlay.own;
        let statement = Statement {
            word,
            bank: own.bank.clone(),
            key: key.clone(),
            hash,
            at_ms: batch.now_ms,
            position: if recorded { batch.overlay.next_position } else { 0 },
        };
        let body = statement.body(&own.network, self.key.public().id());
        batch.said.push(body.clone());
        v1::Statement { body, signature: None }
    }
}

/// An acknowledgement counts only from the payee's bank, and only if it says what the outcome asked for.
fn acknowledges(known: &PayerKnown, said: &Said) -> bool {
    let fits = matches!(
        (known.payer.outcome(), said.statement.word),
        (Some((_, Verdict::Posted)), Word::Acknowledgement(Acknowledgement::Credited(_)))
            | (Some((_, Verdict::Declined(_))), Word::Acknowledgement(Acknowledgement::Released))
    );
    fits && known.payee_bank.as_ref() == Some(&said.statement.bank)
}

fn open_account(
    batch: &mut Batch<'_>,
    person: PersonId,
    currency: Currency,
    name: &str,
    request: [u8; 16],
) -> Result<Answer, ApplyError> {
    match batch.overlay.requests.get(&request) {
        Some(Request::Account(number)) => return Ok(Answer::Account(*number)),
        Some(Request::Cash(_)) => return Ok(Answer::Refused(Refusal::OutOfPlace)),
        None => {}
    }
    if batch.overlay.people.get(&person).is_none() {
        return Ok(Answer::Refused(Refusal::NotFound));
    }
    let Some(number) = AccountNumber::from_body(batch.overlay.next_account_body) else {
        return Ok(Answer::Refused(Refusal::OutOfPlace));
    };
    let kind = Kind::AccountOpened { number, person, currency, name: Arc::from(name), request };
    batch.record(entry(batch.now_ms, Vec::new(), kind))?;
    batch.news.accounts.insert(number);
    Ok(Answer::Account(number))
}

fn book_cash(
    batch: &mut Batch<'_>,
    number: AccountNumber,
    minor_units: i64,
    currency: Currency,
    kind: Kind,
    request: [u8; 16],
) -> Result<Answer, ApplyError> {
    match batch.overlay.requests.get(&request) {
        Some(Request::Cash(position)) => return Ok(Answer::Position(*position)),
        Some(Request::Account(_)) => return Ok(Answer::Refused(Refusal::OutOfPlace)),
        None => {}
    }
    let Some(account) = batch.overlay.accounts.get(&number) else {
        return Ok(Answer::Refused(Refusal::NotFound));
    };
    if account.currency != currency {
        return Ok(Answer::Refused(Refusal::UnknownCurrency));
    }
    let Some(negated) = minor_units.checked_neg().filter(|units| *units != 0) else {
        return Ok(Answer::Refused(Refusal::AmountNotPositive));
    };
    if minor_units < 0 && account.available() < negated {
        return Ok(Answer::Refused(Refusal::WouldOverdraw));
    }
    if account.posted.checked_add(account.incoming).and_then(|sum| sum.checked_add(minor_units)).is_none() {
        return Ok(Answer::Refused(Refusal::AmountTooLarge));
    }
    let position = batch.overlay.next_position;
    let legs = vec![
        Leg { account: LedgerAccount::Internal(Internal::Cash, currency), minor_units: negated },
        Leg { account: LedgerAccount::Customer(number), minor_units },
    ];
    batch.record(entry(batch.now_ms, legs, kind))?;
    Ok(Answer::Position(position))
}

fn entry(at_ms: i64, legs: Vec<Leg>, kind: Kind) -> Entry {
    Entry { at_ms, legs, kind }
}

fn refusal(why: payer::Refused) -> Refusal {
    match why {
        payer::Refused::NotAuthorised => Refusal::NotAllowed,
        payer::Refused::BadBallot | payer::Refused::NothingToAcknowledge => Refusal::OutOfPlace,
    }
}
