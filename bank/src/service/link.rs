//! A gateway's link: protocol messages and balance reads on one stream. Everything that needs no balance is
//! checked here, signatures included; the rest is the writer's.

use std::sync::Arc;
use std::time::Instant;

use futures::{FutureExt, Stream, StreamExt};
use strife_certs::identity::Peer;
use strife_daemon::lifecycle::Stop;
use strife_daemon::ready::batches;
use strife_faults::kill::{self, When};
use strife_faults::{Bug, planted};
use strife_proto::Refusal;
use strife_proto::commit::{BankName, Verdict};
use strife_proto::domain::{ReceivedOrder, key_from_wire};
use strife_proto::signing::{KeyId, well_formed};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1::{self, link_reply::Message as Reply, link_request::Message as Asked};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::bank::Bank;
use crate::command::{Answer, Command, Said, SignedOrder};
use crate::ledger::state::PayerKnown;
use crate::service::signers::signers;

/// Replies in one frame.
const REPLIES_PER_FRAME_MAX: usize = 256;
/// Messages after which no more frames are waited for before those that came are answered.
const ASKED_TOGETHER_MAX: usize = 256;
/// Unfinished transfers listed at the most.
const UNFINISHED_MAX: u32 = 500;

/// Serves one link until the gateway goes or the daemon stops.
pub fn serve(
    bank: Arc<Bank>,
    stop: Stop,
    peer: Arc<Peer>,
    mut requests: Streaming<v1::LinkRequests>,
) -> impl Stream<Item = Result<v1::LinkReplies, Status>> {
    let (sender, receiver) = mpsc::channel(bank.limits.queue_commands_max);
    tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                biased;
                frame = requests.message() => frame,
                () = stop.asked() => return,
            };
            // an error here is a gateway that went away
            let Ok(Some(frame)) = frame else { return };
            let mut asked = frame.requests;
            // what has come meanwhile is verified together with it
            while asked.len() < ASKED_TOGETHER_MAX
                && let Some(Ok(Some(frame))) = requests.message().now_or_never()
            {
                asked.extend(frame.requests);
            }
            let signers = signers(&bank, &asked);
            for (request, signer) in asked.into_iter().zip(signers) {
                handle(&bank, &peer, request, signer, &sender);
            }
        }
    });
    batches(receiver, REPLIES_PER_FRAME_MAX).map(|replies| Ok(v1::LinkReplies { replies }))
}

/// What a log line says about a message.
#[derive(Clone, Debug, Default)]
struct About {
    method: &'static str,
    transfer: String,
    amount: String,
    request: String,
}

/// Where the reply goes, and the line that is written with it.
struct Answering {
    number: u64,
    sender: mpsc::Sender<v1::LinkReply>,
    peer: Arc<Peer>,
    about: About,
    begun: Instant,
}

impl Answering {
    fn reply(self, message: Reply) {
        // the resolver's idle round is no news
        let idle = matches!(&message, Reply::Unfinished(u) if u.promises.is_empty() && u.outcomes.is_empty());
        let code = match &message {
            Reply::Statement(statement) => said_code(statement),
            Reply::Ended(ended) => ended.statement.as_ref().map(said_code).unwrap_or_default(),
            Reply::Refusal(refusal) => refusal.code.clone(),
            Reply::Undecided(_) => "UNDECIDED".into(),
            Reply::Unavailable(_) => "UNAVAILABLE".into(),
            Reply::Noted(_) | Reply::Unfinished(_) | Reply::Accounts(_) => String::new(),
        };
        let point = if kill::watched() { format!("reply/{}", self.about.method) } else { String::new() };
        kill::passes(When::Before, &point);
        // a gateway that is gone, or too slow to take its replies, asks again
        let _ = self.sender.try_send(v1::LinkReply { number: self.number, message: Some(message) });
        kill::passes(When::Sent, &point);
        if !idle {
            tracing::info!(
                target: "strife::rpc",
                method = self.about.method,
                peer = %self.peer.identity,
                transfer = self.about.transfer,
                amount = self.about.amount,
                code,
                latency_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                request = self.about.request,
            );
        }
    }

    fn answer(self, answer: Answer) {
        self.reply(match answer {
            Answer::Statement(statement) => Reply::Statement(statement),
            Answer::Outcome(statement, acknowledgement) => {
                Reply::Ended(v1::Ended { statement: Some(statement), acknowledgement })
            }
            Answer::Undecided => Reply::Undecided(v1::Undecided {}),
            Answer::Noted | Answer::Account(_) | Answer::Position(_) => Reply::Noted(v1::Noted {}),
            Answer::Refused(why) => refused(why),
            Answer::Unavailable => Reply::Unavailable(v1::Unavailable {}),
        });
    }
}

/// What a statement of this bank says, for the log.
fn said_code(statement: &v1::Statement) -> String {
    use prost::Message;
    v1::StatementBody::decode(statement.body.clone()).map_or_else(
        |_| String::new(),
        |body| match (body.code, body.verdict) {
            (0, 0) => body.kind().as_str_name().trim_start_matches("STATEMENT_KIND_").to_owned(),
            (0, _) => body.verdict().as_str_name().trim_start_matches("VERDICT_").to_owned(),
            _ => body.code().as_str_name().trim_start_matches("CODE_").to_owned(),
        },
    )
}

fn refused(why: Refusal) -> Reply {
    Reply::Refusal(why.into())
}

/// What a message becomes once it has passed the door.
enum Passed {
    /// For the writer.
    Command(Command),
    /// Answered from committed state.
    Reply(Reply),
    /// To be looked up, if committed state does not have it.
    Outcome(v1::OutcomeRequest, crate::bank::SignedIn),
}

fn handle(
    bank: &Arc<Bank>,
    peer: &Arc<Peer>,
    request: v1::LinkRequest,
    signer: Option<KeyId>,
    sender: &mpsc::Sender<v1::LinkReply>,
) {
    let mut answering = Answering {
        number: request.number,
        sender: sender.clone(),
        peer: peer.clone(),
        about: About { request: request.request_id, ..About::default() },
        begun: Instant::now(),
    };
    let passed = match request.message {
        Some(message) => admit(bank, message, signer, &mut answering.about),
        None => Err(Refusal::Malformed),
    };
    match passed {
        Err(why) => answering.reply(refused(why)),
        Ok(Passed::Reply(reply)) => answering.reply(reply),
        Ok(Passed::Command(command)) => {
            bank.submit(command, Box::new(move |answer| answering.answer(answer)));
        }
        Ok(Passed::Outcome(asked, signed_in)) => {
            let bank = bank.clone();
            tokio::spawn(async move {
                let reply = read_outcome(&bank, asked, &signed_in).await.unwrap_or_else(refused);
                answering.reply(reply);
            });
        }
    }
}

/// Checks everything that needs no balance; `signer` is the device whose signature the message has.
fn admit(bank: &Bank, message: Asked, signer: Option<KeyId>, about: &mut About) -> Result<Passed, Refusal> {
    Ok(Passed::Command(match message {
        Asked::Prepare(prepare) => {
            about.method = "Bank.Link/Prepare";
            Command::Prepare(prepare_order(bank, prepare.order, about)?)
        }
        Asked::Decide(decide) => {
            about.method = "Bank.Link/Decide";
            let order = own_order(bank, decide.order, signer, about)?;
            let too_far = is_too_far(bank, &order.order);
            if too_far && !order.order.order().is_interbank() {
                return Err(Refusal::ExpiryTooFar);
            }
            let vote = match decide.vote {
                Some(vote) if order.order.order().is_interbank() => Some(verify_vote(bank, &order, vote)?),
                None if order.order.order().is_interbank() => return Err(Refusal::OutOfPlace),
                _ => None,
            };
            // a promise may stand for it: it is declined, so that the promise ends
            Command::Decide { order, vote, too_far }
        }
        Asked::Inquire(inquire) => {
            about.method = "Bank.Link/Inquire";
            let order = own_order(bank, inquire.order, signer, about)?;
            if is_too_far(bank, &order.order) {
                return Err(Refusal::ExpiryTooFar);
            }
            Command::Inquire(order)
        }
        Asked::Cancel(cancel) => {
            about.method = "Bank.Link/Cancel";
            let signed_in = bank.signed_in(&cancel.token)?;
            let order = Arc::new(ReceivedOrder::decode(cancel.order)?);
            check_own(bank, &order, about)?;
            let signature = well_formed(cancel.signature)?;
            let same_person = signer.is_some_and(|signer| {
                bank.shared.read().devices.get(&signer).is_some_and(|d| d.person == signed_in.person)
            });
            if !same_person {
                return Err(Refusal::BadSignature);
            }
            Command::Cancel(SignedOrder { order, signature, signer })
        }
        Asked::Post(deliver) => {
            about.method = "Bank.Link/Post";
            let (order, said) = verify_delivery(bank, deliver, about)?;
            match said.statement.word {
                Word::Outcome(Verdict::Posted) => Command::Post { order, said },
                _ => return Err(Refusal::OutOfPlace),
            }
        }
        Asked::Release(deliver) => {
            about.method = "Bank.Link/Release";
            let (order, said) = verify_delivery(bank, deliver, about)?;
            match said.statement.word {
                Word::Outcome(Verdict::Declined(_)) | Word::Conflict | Word::Void => {
                    Command::Release { order, said }
                }
                _ => return Err(Refusal::OutOfPlace),
            }
        }
        Asked::Acknowledge(acknowledge) => {
            about.method = "Bank.Link/Acknowledge";
            let wire = acknowledge.acknowledgement.ok_or(Refusal::Malformed)?;
            Command::Acknowledge(verify_acknowledgement(bank, wire, about)?)
        }
        Asked::ListUnfinished(list) => {
            about.method = "Bank.Link/ListUnfinished";
            return Ok(Passed::Reply(Reply::Unfinished(list_unfinished(bank, &list))));
        }
        Asked::Accounts(read) => {
            about.method = "Bank.Link/Accounts";
            let signed_in = bank.signed_in(&read.token)?;
            return Ok(Passed::Reply(Reply::Accounts(bank.accounts_of(signed_in.person))));
        }
        Asked::Outcome(read) => {
            about.method = "Bank.Link/Outcome";
            let signed_in = bank.signed_in(&read.token)?;
            return Ok(Passed::Outcome(read.outcome.ok_or(Refusal::Malformed)?, signed_in));
        }
    }))
}

fn describe(order: &ReceivedOrder, about: &mut About) {
    about.transfer = order.key().to_string();
    about.amount = order.order().amount.to_string();
}

/// An order of which this bank is the bank of record.
fn own_order(
    bank: &Bank,
    wire: Option<v1::SignedOrder>,
    signer: Option<KeyId>,
    about: &mut About,
) -> Result<SignedOrder, Refusal> {
    let wire = wire.ok_or(Refusal::Malformed)?;
    let order = Arc::new(ReceivedOrder::decode(wire.order)?);
    check_own(bank, &order, about)?;
    let signature = well_formed(wire.signature)?;
    Ok(SignedOrder { order, signature, signer })
}

fn check_own(bank: &Bank, order: &ReceivedOrder, about: &mut About) -> Result<(), Refusal> {
    describe(order, about);
    check_network(bank, order)?;
    if order.key().bank != bank.own.bank {
        return Err(Refusal::NotPayersBank);
    }
    if !bank.knows(&order.order().payee.bank) {
        return Err(Refusal::UnknownBank);
    }
    Ok(())
}

fn check_network(bank: &Bank, order: &ReceivedOrder) -> Result<(), Refusal> {
    if order.order().network == bank.own.network { Ok(()) } else { Err(Refusal::WrongNetwork) }
}

/// It would live longer than this bank allows.
fn is_too_far(bank: &Bank, order: &ReceivedOrder) -> bool {
    order.order().expires_at_ms > bank.seams.now_ms().saturating_add(bank.order_life_ms_max)
}

/// An order of another bank whose payee is here.
fn prepare_order(
    bank: &Bank,
    wire: Option<v1::SignedOrder>,
    about: &mut About,
) -> Result<SignedOrder, Refusal> {
    let wire = wire.ok_or(Refusal::Malformed)?;
    let order = Arc::new(ReceivedOrder::decode(wire.order)?);
    describe(&order, about);
    check_network(bank, &order)?;
    if is_too_far(bank, &order) {
        return Err(Refusal::ExpiryTooFar);
    }
    check_payee_here(bank, &order)?;
    Ok(SignedOrder { order, signature: well_formed(wire.signature)?, signer: None })
}

fn check_payee_here(bank: &Bank, order: &ReceivedOrder) -> Result<(), Refusal> {
    if order.order().payee.bank != bank.own.bank || order.key().bank == bank.own.bank {
        return Err(Refusal::NotPayeesBank);
    }
    if !bank.knows(&order.key().bank) {
        return Err(Refusal::UnknownBank);
    }
    Ok(())
}

fn verify_vote(
    bank: &Bank,
    order: &SignedOrder,
    wire: v1::Statement,
) -> Result<(strife_proto::commit::Vote, Said), Refusal> {
    let statement = match planted(Bug::VoteNotVerified) {
        true => Statement::read(&wire, &bank.own.network)?,
        false => bank.trust.verify(&wire)?,
    };
    let about_this = statement.is_about(order.order.key(), &order.order.hash());
    if !about_this || statement.bank != order.order.order().payee.bank {
        return Err(Refusal::OutOfPlace);
    }
    match statement.word {
        Word::Vote(vote) => Ok((vote, Said { statement, wire })),
        _ => Err(Refusal::OutOfPlace),
    }
}

fn verify_delivery(
    bank: &Bank,
    deliver: v1::Deliver,
    about: &mut About,
) -> Result<(Arc<ReceivedOrder>, Said), Refusal> {
    let order = Arc::new(ReceivedOrder::decode(deliver.order)?);
    describe(&order, about);
    check_payee_here(bank, &order)?;
    let wire = deliver.statement.ok_or(Refusal::Malformed)?;
    let statement = bank.trust.verify(&wire)?;
    if !statement.ends(order.key(), &order.hash()) {
        return Err(Refusal::OutOfPlace);
    }
    Ok((order, Said { statement, wire }))
}

/// A verified acknowledgement about an order of this bank; whether it fits its outcome is the writer's to say.
fn verify_acknowledgement(bank: &Bank, wire: v1::Statement, about: &mut About) -> Result<Said, Refusal> {
    let statement: Statement = bank.trust.verify(&wire)?;
    about.transfer = statement.key.to_string();
    if !matches!(statement.word, Word::Acknowledgement(_)) {
        return Err(Refusal::OutOfPlace);
    }
    if statement.key.bank != bank.own.bank {
        return Err(Refusal::NotPayersBank);
    }
    Ok(Said { statement, wire })
}

fn list_unfinished(bank: &Bank, list: &v1::ListUnfinished) -> v1::Unfinished {
    let count_max = list.count_max.clamp(1, UNFINISHED_MAX) as usize;
    let now_ms = bank.seams.now_ms();
    let before_ms = now_ms.saturating_sub(list.older_than_ms.max(0));
    // what seems to come from the future was written before this bank's clock was put back
    let is_old = |at_ms: i64| at_ms <= before_ms || at_ms > now_ms;
    let asked = |bank: &BankName| list.counterparts.iter().any(|name| name == bank.as_str());
    let state = bank.shared.read();
    let mut promises: Vec<_> = state
        .promises
        .values()
        .filter(|promise| is_old(promise.at_ms) && asked(&promise.order.key().bank))
        .collect();
    promises.sort_by_key(|promise| (promise.at_ms, promise.order.key().clone(), promise.order.hash()));
    let promises = promises.into_iter().take(count_max).map(|promise| v1::UnfinishedPromise {
        order: Some(v1::SignedOrder {
            order: promise.order.bytes().clone(),
            signature: Some(promise.signature.clone()),
        }),
        vote: Some(promise.vote.clone()),
    });
    let mut outcomes: Vec<_> = state
        .payers
        .values()
        .filter(|known| known.payer.is_owed() && known.payee_bank.as_ref().is_some_and(asked))
        .collect();
    // positions rise with time
    outcomes.sort_by_key(|known| known.position);
    let owed = |known: &Arc<PayerKnown>| {
        let (order, outcome) = (known.order.clone()?, known.outcome.clone()?);
        let said = Statement::read(&outcome, &bank.own.network).ok()?;
        is_old(said.at_ms).then_some(v1::UnacknowledgedOutcome { order, outcome: Some(outcome) })
    };
    let outcomes = outcomes.into_iter().filter_map(owed).take(count_max);
    v1::Unfinished { promises: promises.collect(), outcomes: outcomes.collect() }
}

/// What is recorded for the person's own order; what is another's is answered as unrecorded.
async fn read_outcome(
    bank: &Arc<Bank>,
    asked: v1::OutcomeRequest,
    signed_in: &crate::bank::SignedIn,
) -> Result<Reply, Refusal> {
    let key = key_from_wire(&asked.key.ok_or(Refusal::Malformed)?)?;
    if key.bank != bank.own.bank {
        return Err(Refusal::NotPayersBank);
    }
    let in_memory = bank.shared.read().payers.get(&key).cloned();
    let known = match in_memory {
        Some(known) => Some(PayerKnown::clone(&known)),
        None => bank.read_projections(move |reader| reader.payer(&key)).await?,
    };
    let own = known.filter(|known| {
        let state = bank.shared.read();
        let account = known.payer_account.and_then(|number| state.accounts.get(&number));
        account.is_some_and(|account| account.person == signed_in.person)
    });
    let outcome = own.and_then(|known| Some((known.payer.outcome()?, known.outcome?, known.acknowledgement)));
    Ok(match outcome {
        Some(((hash, _), statement, acknowledgement)) if hash.0.as_slice() == asked.order_hash => {
            Reply::Ended(v1::Ended { statement: Some(statement), acknowledgement })
        }
        _ => Reply::Undecided(v1::Undecided {}),
    })
}
