//! The door for gateways.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use strife_certs::identity::Peer;
use strife_daemon::call::Call;
use strife_daemon::lifecycle::Stop;
use strife_proto::Refusal;
use strife_proto::domain::key_from_wire;
use strife_proto::v1::{self, bank_server};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::bank::Bank;
use crate::command::{Answer, Command};
use crate::ledger::LedgerAccount;
use crate::service::{life, link, watch};

/// Movements on a page if the caller does not say.
const PAGE_SIZE_USUAL: u32 = 50;
/// Movements on a page at the most.
const PAGE_SIZE_MAX: u32 = 200;

/// The door for gateways.
#[derive(Clone, Debug)]
pub struct Gateways {
    bank: Arc<Bank>,
    stop: Stop,
    watches: Arc<Semaphore>,
}

impl Gateways {
    /// A door to this bank that closes its streams when a stop is asked for.
    pub fn new(bank: Arc<Bank>, stop: Stop) -> Self {
        let watches = Arc::new(Semaphore::new(bank.limits.watches_max));
        Self { bank, stop, watches }
    }
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl bank_server::Bank for Gateways {
    type LinkStream = Replies<v1::LinkReplies>;
    type WatchStream = Replies<v1::WatchReply>;

    async fn link(
        &self,
        request: Request<Streaming<v1::LinkRequests>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let peer = request.extensions().get::<Arc<Peer>>().cloned().ok_or(Refusal::NotAllowed)?;
        let replies = link::serve(self.bank.clone(), self.stop.clone(), peer, request.into_inner());
        Ok(Response::new(Box::pin(replies)))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginReply>, Status> {
        let call = Call::of(&request);
        Ok(Response::new(self.bank.log_in(request.into_inner(), &call).await?))
    }

    async fn logout(
        &self,
        request: Request<v1::BankLogoutRequest>,
    ) -> Result<Response<v1::LogoutReply>, Status> {
        let call = Call::of(&request);
        let signed_in = self.bank.signed_in(&request.into_inner().token)?;
        call.note(|facts| facts.person = Some(signed_in.claims.sub.clone()));
        match self.bank.ask(Command::SignOut(signed_in.session)).await {
            Answer::Noted => Ok(Response::new(v1::LogoutReply {})),
            _ => Err(Status::unavailable("the session could not be ended; try again")),
        }
    }

    async fn history(
        &self,
        request: Request<v1::BankHistoryRequest>,
    ) -> Result<Response<v1::HistoryReply>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let signed_in = self.bank.signed_in(&request.token)?;
        call.note(|facts| facts.person = Some(signed_in.claims.sub.clone()));
        let asked = request.history.ok_or(Refusal::Malformed)?;
        let number = self.bank.own_account(signed_in.person, &asked.account)?;
        let before = read_cursor(&asked.cursor)?;
        let page_size = match asked.page_size {
            0 => PAGE_SIZE_USUAL,
            size => size.min(PAGE_SIZE_MAX),
        } as usize;
        // the newest page has all that is committed by now; projections that cannot follow show what they have
        let newest = asked.cursor.is_empty().then(|| self.bank.shared.read().next_position - 1);
        let position = newest.unwrap_or_default().max(asked.at_least_position);
        if let Err(busy) = self.bank.wait_projected(position).await
            && *self.bank.projected.borrow() < asked.at_least_position
        {
            return Err(busy.into());
        }
        let currency = {
            let state = self.bank.shared.read();
            state.accounts.get(&number).map(|account| account.currency).ok_or(Refusal::NotFound)?
        };
        let account = LedgerAccount::Customer(number);
        // one more than the page tells whether there is a next one
        let mut rows = self
            .bank
            .read_projections(move |reader| reader.movements_before(&account, before, page_size + 1))
            .await?;
        let more = rows.len() > page_size;
        rows.truncate(page_size);
        let next_cursor = match rows.last() {
            Some(last) if more => write_cursor(last.movement.position, last.leg),
            _ => bytes::Bytes::new(),
        };
        let movements = rows
            .into_iter()
            .map(|row| v1::Movement { currency: currency.code().to_owned(), ..row.movement })
            .collect();
        Ok(Response::new(v1::HistoryReply { movements, next_cursor }))
    }

    async fn life(&self, request: Request<v1::BankLifeRequest>) -> Result<Response<v1::LifeReply>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let signed_in = self.bank.signed_in(&request.token)?;
        let asked = request.life.ok_or(Refusal::Malformed)?;
        let key = key_from_wire(asked.key.as_ref().ok_or(Refusal::Malformed)?)?;
        call.note(|facts| {
            facts.person = Some(signed_in.claims.sub.clone());
            facts.transfer = Some(key.to_string());
        });
        Ok(Response::new(life::read(&self.bank, &signed_in, key).await?))
    }

    async fn watch(
        &self,
        request: Request<v1::BankWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let signed_in = self.bank.signed_in(&request.token)?;
        call.note(|facts| facts.person = Some(signed_in.claims.sub.clone()));
        let permit = self.watches.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let after = request.watch.unwrap_or_default().after_position;
        let replies = watch::serve(self.bank.clone(), self.stop.clone(), signed_in, after, permit);
        Ok(Response::new(Box::pin(replies)))
    }
}

/// A cursor is the position and leg of the last row of the page before, 16 bytes, big endian.
fn write_cursor(position: u64, leg: i64) -> bytes::Bytes {
    [position.to_be_bytes(), leg.to_be_bytes()].concat().into()
}

fn read_cursor(cursor: &[u8]) -> Result<(u64, i64), Refusal> {
    if cursor.is_empty() {
        return Ok((u64::MAX, i64::MAX));
    }
    let (position, leg) = cursor.split_at_checked(8).ok_or(Refusal::BadCursor)?;
    let position = position.try_into().map_err(|_| Refusal::BadCursor)?;
    let leg = leg.try_into().map_err(|_| Refusal::BadCursor)?;
    Ok((u64::from_be_bytes(position), i64::from_be_bytes(leg)))
}
