//! The door for clients. Sessions are checked here to refuse early; the bank checks them again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use strife_certs::identity::Peer;
use strife_daemon::call::{Call, REQUEST_ID_KEY};
use strife_daemon::lifecycle::Stop;
use strife_daemon::throttle::Throttle;
use strife_daemon::token::{self, Tokens, hex};
use strife_daemon::trust::Trust;
use strife_proto::Refusal;
use strife_proto::commit::coordinator::Start;
use strife_proto::commit::{BankName, OrderHash, Verdict};
use strife_proto::domain::{ReceivedOrder, key_from_wire};
use strife_proto::signing::well_formed;
use strife_proto::statement::{Statement, Word};
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;
use strife_proto::v1::transfer_reply::State;
use strife_proto::v1::{self, gateway_server};
use strife_seams::Clock;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use crate::drive::{Driver, Links, verdict_of};
use crate::link::{BankLink, NoAnswer};
use crate::resolver::InHand;

/// Watch messages that wait for a slow client.
const WATCH_WAITING_MAX: usize = 16;

/// The door for clients.
#[derive(Clone, Debug)]
pub struct Clients {
    /// To the banks.
    pub links: Arc<Links>,
    /// What it believes.
    pub trust: Trust,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Orders that clients are waiting for.
    pub in_hand: Arc<InHand>,
    /// Watch streams at a time.
    pub watches: Arc<Semaphore>,
    /// Streams of orders at a time.
    pub streams: Arc<Semaphore>,
    /// Transfers of all streams on their way at a time: the rest are for those who submit one.
    pub streams_share: Arc<Semaphore>,
    /// Transfers on their way at a time; one may outlive its client's call.
    pub drives: Arc<Semaphore>,
    /// Log-ins by client certificate.
    pub logins: Arc<Throttle>,
    /// Sessions that have called.
    pub tokens: Arc<Tokens>,
    /// Ends the streams.
    pub stop: Stop,
}

/// A session that fits the connection.
pub(crate) struct Session {
    /// To the person's bank.
    pub link: Arc<BankLink>,
    /// Whose it is.
    pub person: String,
    /// By this gateway's clock, milliseconds since the Unix epoch.
    ends_at_ms: i64,
    token: String,
}

impl Clients {
    /// The link to a bank.
    ///
    /// # Errors
    /// [`Refusal::UnknownBank`]; [`Refusal::BankUnreachable`].
    pub(crate) fn link(&self, bank: &BankName) -> Result<Arc<BankLink>, Refusal> {
        if !self.trust.roster.banks.contains_key(bank) {
            return Err(Refusal::UnknownBank);
        }
        self.links.banks.get(bank).cloned().ok_or(Refusal::BankUnreachable)
    }

    /// Checks the token's signature, its end, and that it is bound to the key of this very connection.
    fn session<T>(&self, request: &Request<T>, call: &Call) -> Result<Session, Refusal> {
        let token = token::bearer(request.metadata())?;
        let key_of = |bank: &BankName| self.trust.token_key(bank);
        let (bank, claims) = self.tokens.verify(token, key_of, self.clock.now_ms())?;
        let person = format!("{}@{bank}", claims.sub);
        call.note(|facts| facts.person = Some(person.clone()));
        let peer = request.extensions().get::<Arc<Peer>>().ok_or(Refusal::NotAllowed)?;
        if claims.cnf.spki != hex(&peer.key_hash) {
            return Err(Refusal::SessionInvalid);
        }
        let ends_at_ms = claims.exp.saturating_mul(1000);
        Ok(Session { link: self.link(&bank)?, person, ends_at_ms, token: token.to_owned() })
    }

    /// Waits until a session's time is over.
    pub(crate) async fn session_ends(&self, session: &Session) {
        let left_ms = session.ends_at_ms.saturating_sub(self.clock.now_ms());
        tokio::time::sleep(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))).await;
    }

    /// A call to a bank beside the link, with the client's request id and a deadline.
    fn unary<T>(&self, message: T, call: &Call) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_millis(self.links.timeouts.rpc_ms));
        set_request_id(&mut request, call);
        request
    }

    /// Reads committed state over a link.
    async fn read(&self, session: &Session, asked: Asked, call: &Call) -> Result<Reply, Status> {
        match session.link.ask(asked, &call.request_id, self.links.timeouts.decide_ms).await {
            Ok(Reply::Refusal(refusal)) => Err(refused(&refusal)),
            Ok(Reply::Unavailable(_)) => Err(Status::unavailable("the bank cannot say; ask again")),
            Ok(reply) => Ok(reply),
            Err(NoAnswer::Unreachable) => Err(Refusal::BankUnreachable.into()),
            Err(NoAnswer::Busy) => Err(Refusal::Busy.into()),
            Err(NoAnswer::Unknown) => Err(Status::deadline_exceeded("the bank has not answered")),
        }
    }
}

fn set_request_id<T>(request: &mut Request<T>, call: &Call) {
    if let Ok(value) = MetadataValue::try_from(&*call.request_id) {
        request.metadata_mut().insert(REQUEST_ID_KEY, value);
    }
}

fn refused(refusal: &v1::Refused) -> Status {
    // a bank of a newer version may refuse with what is not known here; it is a refusal all the same
    Refusal::from_name(&refusal.code).unwrap_or(Refusal::OutOfPlace).into()
}

/// A bank's own error, passed on: a refusal stays one, a broken connection says so.
fn passed_on(status: Status) -> Status {
    match Refusal::from_status(&status) {
        Some(refusal) => refusal.into(),
        None => Status::new(status.code(), "the bank has not answered"),
    }
}

pub(crate) fn describe(order: &ReceivedOrder, call: &Call) {
    call.note(|facts| {
        facts.transfer = Some(order.key().to_string());
        facts.amount = Some(order.order().amount.to_string());
    });
}

pub(crate) fn note_outcome(wire: &v1::Statement, network: &str, call: &Call) {
    let code = match Statement::read(wire, network).map(|statement| statement.word) {
        Ok(Word::Outcome(Verdict::Posted)) => "POSTED",
        Ok(Word::Outcome(Verdict::Declined(code))) => code.name(),
        Ok(Word::Conflict) => "CONFLICT",
        Ok(Word::Void) => "VOID",
        _ => "?",
    };
    call.note(|facts| facts.code = Some(code.to_owned()));
}

pub(crate) fn pending() -> v1::TransferReply {
    v1::TransferReply { state: Some(State::Pending(v1::Pending {})), acknowledgement: None }
}

#[tonic::async_trait]
impl gateway_server::Gateway for Clients {
    async fn banks(&self, _: Request<v1::BanksRequest>) -> Result<Response<v1::BanksReply>, Status> {
        let banks = self.trust.roster.banks.keys().map(|name| v1::BankStatus {
            name: name.to_string(),
            reachable: self.links.banks.get(name).is_some_and(|link| link.is_reachable()),
        });
        let network = self.trust.network().to_owned();
        Ok(Response::new(v1::BanksReply { network, banks: banks.collect() }))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginReply>, Status> {
        let call = Call::of(&request);
        let peer = request.extensions().get::<Arc<Peer>>().ok_or(Refusal::NotAllowed)?;
        self.logins.admit(&hex(&peer.key_hash), self.clock.now_ms())?;
        let message = request.into_inner();
        let bank = BankName::new(&message.bank).map_err(|_| Refusal::UnknownBank)?;
        let link = self.link(&bank)?;
        if !link.is_reachable() {
            return Err(Refusal::BankUnreachable.into());
        }
        link.client().login(self.unary(message, &call)).await.map_err(passed_on)
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Result<Response<v1::LogoutReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let message = v1::BankLogoutRequest { token: session.token.clone() };
        session.link.client().logout(self.unary(message, &call)).await.map_err(passed_on)
    }

    async fn accounts(
        &self,
        request: Request<v1::AccountsRequest>,
    ) -> Result<Response<v1::AccountsReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let asked = Asked::Accounts(v1::ReadAccounts { token: session.token.clone() });
        match self.read(&session, asked, &call).await? {
            Reply::Accounts(accounts) => Ok(Response::new(accounts)),
            _ => Err(Status::internal("the bank answered something else")),
        }
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::TransferReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        Ok(Response::new(self.submit_one(&session, request.into_inner(), &call).await?))
    }

    type SubmitManyStream = Pin<Box<dyn Stream<Item = Result<v1::SubmitManyReply, Status>> + Send>>;

    async fn submit_many(
        &self,
        request: Request<Streaming<v1::SubmitManyRequest>>,
    ) -> Result<Response<Self::SubmitManyStream>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let room = self.streams.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let answers = self.clone().submit_many(session, request.into_inner(), call, room);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn outcome(
        &self,
        request: Request<v1::OutcomeRequest>,
    ) -> Result<Response<v1::TransferReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let message = request.into_inner();
        let key = key_from_wire(message.key.as_ref().ok_or(Refusal::Malformed)?)?;
        OrderHash::from_slice(&message.order_hash).map_err(|_| Refusal::Malformed)?;
        call.note(|facts| facts.transfer = Some(key.to_string()));
        if key.bank != session.link.name {
            return Err(Refusal::NotPayersBank.into());
        }
        let asked = v1::ReadOutcome { token: session.token.clone(), outcome: Some(message) };
        let reply = match self.read(&session, Asked::Outcome(asked), &call).await? {
            Reply::Ended(v1::Ended { statement: Some(statement), acknowledgement }) => {
                note_outcome(&statement, self.trust.network(), &call);
                v1::TransferReply { state: Some(State::Ended(statement)), acknowledgement }
            }
            _ => {
                v1::TransferReply { state: Some(State::Unrecorded(v1::Unrecorded {})), acknowledgement: None }
            }
        };
        Ok(Response::new(reply))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::TransferReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let message = request.into_inner();
        let order = Arc::new(ReceivedOrder::decode(message.order.clone())?);
        describe(&order, &call);
        if order.key().bank != session.link.name {
            return Err(Refusal::NotPayersBank.into());
        }
        let asked = v1::CancelOrder {
            order: message.order,
            signature: Some(well_formed(message.signature)?),
            token: session.token.clone(),
        };
        let (statement, acknowledgement) = match self.read(&session, Asked::Cancel(asked), &call).await? {
            Reply::Ended(v1::Ended { statement: Some(statement), acknowledgement }) => {
                (statement, acknowledgement)
            }
            Reply::Statement(statement) => (statement, None),
            _ => return Ok(Response::new(pending())),
        };
        note_outcome(&statement, self.trust.network(), &call);
        let verdict = verdict_of(&statement, self.trust.network());
        if let (true, Some(verdict), None) = (order.order().is_interbank(), verdict, &acknowledgement) {
            let driver = Driver::new(self.links.clone(), order, None, call.request_id.clone());
            tokio::spawn(driver.run(Start::Owed(verdict, statement.clone()), None));
        }
        Ok(Response::new(v1::TransferReply { state: Some(State::Ended(statement)), acknowledgement }))
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let message =
            v1::BankHistoryRequest { token: session.token.clone(), history: Some(request.into_inner()) };
        session.link.client().history(self.unary(message, &call)).await.map_err(passed_on)
    }

    async fn life(&self, request: Request<v1::LifeRequest>) -> Result<Response<v1::LifeReply>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let message = request.into_inner();
        let key = key_from_wire(message.key.as_ref().ok_or(Refusal::Malformed)?)?;
        call.note(|facts| facts.transfer = Some(key.to_string()));
        let message = v1::BankLifeRequest { token: session.token.clone(), life: Some(message) };
        session.link.client().life(self.unary(message, &call)).await.map_err(passed_on)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchReply, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request);
        let session = self.session(&request, &call)?;
        let permit = self.watches.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let message =
            v1::BankWatchRequest { token: session.token.clone(), watch: Some(request.into_inner()) };
        let mut asked = Request::new(message);
        set_request_id(&mut asked, &call);
        let mut replies = session.link.client().watch(asked).await.map_err(passed_on)?.into_inner();
        let (sender, receiver) = mpsc::channel(WATCH_WAITING_MAX);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    biased;
                    next = replies.message() => next,
                    () = sender.closed() => break,
                    () = stop.asked() => break,
                };
                let item = match next {
                    Ok(Some(reply)) => Ok(reply),
                    Ok(None) => break,
                    Err(status) => Err(passed_on(status)),
                };
                let last = item.is_err();
                if sender.send(item).await.is_err() || last {
                    break;
                }
            }
            drop(permit);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
