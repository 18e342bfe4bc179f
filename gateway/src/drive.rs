//! Carries out what the protocol's coordinator wants for one transfer: sends, waits, feeds back what came.
//!
//! A gateway reads statements without verifying them: it only routes them. Whoever acts on one (a bank, the
//! client) verifies it; a statement that a bank made wrongly ends nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use strife_config::PhaseTimeouts;
use strife_proto::commit::coordinator::{Coordinator, Effect, Event, Reply as ToClient, Start};
use strife_proto::commit::payer::{Answer as Decision, Refused};
use strife_proto::commit::{BankName, Verdict};
use strife_proto::domain::ReceivedOrder;
use strife_proto::statement::{Statement, Word};
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;
use strife_proto::{Refusal, v1};
use tokio::sync::oneshot;

use crate::link::{BankLink, NoAnswer};

/// The links to all banks, and how long each phase may take.
#[derive(Debug)]
pub struct Links {
    /// The network's name.
    pub network: String,
    /// By bank.
    pub banks: BTreeMap<BankName, Arc<BankLink>>,
    /// How long each phase may take.
    pub timeouts: PhaseTimeouts,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// The payer's bank's word, and the payee's bank's acknowledgement if it is known.
    Ended(Box<(v1::Statement, Option<v1::Statement>)>),
    /// Nothing final is known.
    Pending,
    /// A door refused; nothing changed.
    Refused(Refusal),
}

/// One transfer on its way.
pub struct Driver {
    links: Arc<Links>,
    order: Arc<ReceivedOrder>,
    signature: Option<v1::Signature>,
    request_id: Arc<str>,
    refusal: Option<Refusal>,
    acknowledgement: Option<v1::Statement>,
}

impl Driver {
    /// A transfer of an order, signed as it came.
    pub fn new(
        links: Arc<Links>,
        order: Arc<ReceivedOrder>,
        signature: Option<v1::Signature>,
        request_id: Arc<str>,
    ) -> Self {
        Self { links, order, signature, request_id, refusal: None, acknowledgement: None }
    }

    /// Drives the transfer to the end of what can be done now. The client is told as soon as there is
    /// something to tell; `Post`, `Release` and the acknowledgement follow.
    pub async fn run(mut self, start: Start<v1::Statement>, mut client: Option<oneshot::Sender<Told>>) {
        let (mut coordinator, effects) = Coordinator::begin(self.order.order().is_interbank(), start);
        let mut todo: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = todo.pop_front() {
            let event = match effect {
                Effect::Answer(reply) => {
                    if let Some(client) = client.take() {
                        // a client that is gone asks again
                        let _ = client.send(self.told(reply));
                    }
                    continue;
                }
                Effect::Acknowledge(acknowledgement) => {
                    self.acknowledge(acknowledgement).await;
                    continue;
                }
                Effect::Prepare => self.prepare().await,
                Effect::Decide(vote) => {
                    let decide = v1::Decide { order: Some(self.signed()), vote };
                    self.decide(Asked::Decide(decide)).await
                }
                Effect::Inquire => {
                    let inquire = v1::Inquire { order: Some(self.signed()) };
                    self.decide(Asked::Inquire(inquire)).await
                }
                Effect::Post(statement) => self.deliver(statement, true).await,
                Effect::Release(statement) => self.deliver(statement, false).await,
            };
            todo.extend(coordinator.handle(event));
        }
    }

    fn told(&self, reply: ToClient<v1::Statement>) -> Told {
        match (reply, self.refusal) {
            (ToClient::Ended(_, statement), _) => {
                Told::Ended(Box::new((statement, self.acknowledgement.clone())))
            }
            (ToClient::Pending, None) => Told::Pending,
            (ToClient::Pending | ToClient::Refused(_), Some(refusal)) => Told::Refused(refusal),
            (ToClient::Refused(Refused::NotAuthorised), None) => Told::Refused(Refusal::NotAllowed),
            (ToClient::Refused(_), None) => Told::Refused(Refusal::OutOfPlace),
        }
    }

    fn signed(&self) -> v1::SignedOrder {
        v1::SignedOrder { order: self.order.bytes().clone(), signature: self.signature.clone() }
    }

    fn payer_bank(&self) -> &BankName {
        &self.order.key().bank
    }

    async fn ask(&self, bank: &BankName, message: Asked, within_ms: u64) -> Result<Reply, NoAnswer> {
        match self.links.banks.get(bank) {
            Some(link) => link.ask(message, &self.request_id, within_ms).await,
            None => Err(NoAnswer::Unreachable),
        }
    }

    /// Reads what a bank says about this order; `None` if it is about something else.
    fn read(&self, wire: &v1::Statement, bank: &BankName) -> Option<Word> {
        let Ok(statement) = Statement::read(wire, &self.links.network) else {
            tracing::error!(target: "strife::daemon", %bank, key = %self.order.key(), "a statement that cannot be read");
            return None;
        };
        let fits = statement.bank == *bank && statement.is_about(self.order.key(), &self.order.hash());
        if !fits {
            tracing::error!(target: "strife::daemon", %bank, key = %self.order.key(), "a statement about something else");
        }
        fits.then_some(statement.word)
    }

    async fn prepare(&mut self) -> Event<v1::Statement> {
        let bank = self.order.order().payee.bank.clone();
        let message = Asked::Prepare(v1::Prepare { order: Some(self.signed()) });
        match self.ask(&bank, message, self.links.timeouts.prepare_ms).await {
            Ok(Reply::Statement(wire)) => match self.read(&wire, &bank) {
                Some(Word::Vote(vote)) => Event::Voted(vote, wire),
                _ => Event::PrepareUnanswered,
            },
            Ok(Reply::Refusal(refusal)) => {
                self.note_refusal(&refusal);
                Event::PrepareUnanswered
            }
            other => {
                self.log_unanswered("Prepare", &bank, other.err());
                Event::PrepareUnanswered
            }
        }
    }

    async fn decide(&mut self, message: Asked) -> Event<v1::Statement> {
        let bank = self.payer_bank().clone();
        let wire = match self.ask(&bank, message, self.links.timeouts.decide_ms).await {
            Ok(Reply::Statement(wire)) => wire,
            Ok(Reply::Ended(ended)) => {
                self.acknowledgement = ended.acknowledgement;
                match ended.statement {
                    Some(wire) => wire,
                    None => return Event::DecideUnanswered,
                }
            }
            Ok(Reply::Undecided(_)) => return Event::Decided(Decision::Undecided, None),
            Ok(Reply::Refusal(refusal)) => {
                self.note_refusal(&refusal);
                return match self.refusal {
                    Some(_) => Event::Decided(Decision::Refused(Refused::BadBallot), None),
                    // too busy, or a word of a newer bank: nothing is known
                    None => Event::DecideUnanswered,
                };
            }
            other => {
                self.log_unanswered("Decide", &bank, other.err());
                return Event::DecideUnanswered;
            }
        };
        match self.read(&wire, &bank) {
            Some(Word::Outcome(verdict)) => Event::Decided(Decision::Outcome(verdict), Some(wire)),
            Some(Word::Conflict) => Event::Decided(Decision::Conflict, Some(wire)),
            Some(Word::Void) => Event::Decided(Decision::Void, Some(wire)),
            _ => Event::DecideUnanswered,
        }
    }

    async fn deliver(&mut self, statement: v1::Statement, post: bool) -> Event<v1::Statement> {
        let bank = self.order.order().payee.bank.clone();
        let deliver = v1::Deliver { statement: Some(statement), order: self.order.bytes().clone() };
        let message = if post { Asked::Post(deliver) } else { Asked::Release(deliver) };
        match self.ask(&bank, message, self.links.timeouts.deliver_ms).await {
            Ok(Reply::Statement(wire)) => match self.read(&wire, &bank) {
                Some(Word::Acknowledgement(_)) => Event::Acknowledged(wire),
                _ => Event::DeliveryUnanswered,
            },
            Ok(Reply::Refusal(refusal)) => {
                tracing::error!(target: "strife::daemon", key = %self.order.key(), %bank, code = refusal.code, "a delivery was refused");
                Event::DeliveryUnanswered
            }
            other => {
                self.log_unanswered(if post { "Post" } else { "Release" }, &bank, other.err());
                Event::DeliveryUnanswered
            }
        }
    }

    async fn acknowledge(&self, acknowledgement: v1::Statement) {
        let message = Asked::Acknowledge(v1::Acknowledge { acknowledgement: Some(acknowledgement) });
        let bank = self.payer_bank();
        match self.ask(bank, message, self.links.timeouts.deliver_ms).await {
            Ok(Reply::Noted(_)) => {}
            Ok(Reply::Refusal(refusal)) => {
                tracing::error!(target: "strife::daemon", key = %self.order.key(), %bank, code = refusal.code, "an acknowledgement was refused");
            }
            other => self.log_unanswered("Acknowledge", bank, other.err()),
        }
    }

    fn note_refusal(&mut self, refusal: &v1::Refused) {
        // too much going on is not about this order: it stays pending
        self.refusal = Refusal::from_name(&refusal.code).filter(|refusal| *refusal != Refusal::Busy);
    }

    fn log_unanswered(&self, message: &'static str, bank: &BankName, why: Option<NoAnswer>) {
        tracing::info!(
            target: "strife::rpc",
            method = "Bank.Link",
            message,
            %bank,
            transfer = %self.order.key(),
            code = ?why.unwrap_or(NoAnswer::Unknown),
            request = &*self.request_id,
            "unanswered"
        );
    }
}

/// The verdict of an outcome, unverified: what a resolver needs to know to route it.
pub fn verdict_of(wire: &v1::Statement, network: &str) -> Option<Verdict> {
    match Statement::read(wire, network).ok()?.word {
        Word::Outcome(verdict) => Some(verdict),
        _ => None,
    }
}
