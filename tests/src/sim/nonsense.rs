//! A bank that answers with nonsense: with its own certificate, to every gateway that links to it, it says what it
//! was not asked, about other transfers, with statements of others or of nobody, too late, or never.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use strife_daemon::accept::accept;
use strife_daemon::trust::Trust;
use strife_proto::commit::BankName;
use strife_proto::v1::bank_server::{Bank, BankServer};
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::{self};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::disk::Disk;
use super::fixture::{BANK_PORTS, fixture};
use super::hostile::Attacker;
use super::seams::SimPort;
use crate::load::Workload;

/// The nonsense bank's process.
///
/// # Errors
/// The port is taken.
pub async fn live(
    bank: BankName,
    workload: Arc<Workload>,
    disks: BTreeMap<String, Disk>,
    seed: u64,
) -> turmoil::Result {
    let settings = &fixture().banks[&bank];
    let trust = Trust::load(&settings.tls, &settings.trust)?;
    let attacker = Attacker::new(workload, disks, SmallRng::seed_from_u64(seed));
    let listener = SimPort::bind(BANK_PORTS.0).await?;
    Server::builder()
        .add_service(BankServer::new(Nonsense(Arc::new(Mutex::new(attacker)))))
        .serve_with_incoming(accept(listener, trust.server.clone(), trust.network()))
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Nonsense(Arc<Mutex<Attacker>>);

impl Nonsense {
    /// What comes back for a request, if anything does, after how long.
    fn answer(&self, number: u64) -> Option<(u64, Duration, Reply)> {
        let mut attacker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = Duration::from_millis(attacker.random.random_range(0..900));
        let number =
            if attacker.random.random_ratio(1, 4) { attacker.random.random_range(0..50) } else { number };
        let signed = attacker.some_order()?;
        let statement = attacker.some_statement(&signed.order)?;
        let order = attacker.spoiled(&signed.order);
        let promise = v1::UnfinishedPromise {
            order: Some(v1::SignedOrder { order: order.clone(), signature: Some(signed.signature) }),
            vote: Some(statement.clone()),
        };
        let outcome = v1::UnacknowledgedOutcome { order, outcome: Some(statement.clone()) };
        let reply = match attacker.random.random_range(0..8) {
            0 => return None,
            1 => Reply::Statement(statement),
            2 => Reply::Ended(v1::Ended { statement: Some(statement), acknowledgement: None }),
            3 => Reply::Noted(v1::Noted {}),
            4 => Reply::Refusal(v1::Refused { code: "NONSENSE".into(), sentence: "\u{1b}[2J".into() }),
            _ => Reply::Unfinished(v1::Unfinished { promises: vec![promise], outcomes: vec![outcome] }),
        };
        Some((number, wait, reply))
    }
}

#[tonic::async_trait]
impl Bank for Nonsense {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<v1::LinkReplies, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchReply, Status>> + Send>>;

    async fn link(
        &self,
        request: Request<Streaming<v1::LinkRequests>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let (sender, receiver) = mpsc::channel(16);
        let (mut requests, nonsense) = (request.into_inner(), self.clone());
        tokio::spawn(async move {
            while let Ok(Some(frame)) = requests.message().await {
                for request in frame.requests {
                    let Some((number, wait, message)) = nonsense.answer(request.number) else { continue };
                    tokio::time::sleep(wait).await;
                    let reply = v1::LinkReply { number, message: Some(message) };
                    if sender.send(Ok(v1::LinkReplies { replies: vec![reply.clone(), reply] })).await.is_err()
                    {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn login(&self, _: Request<v1::LoginRequest>) -> Result<Response<v1::LoginReply>, Status> {
        Ok(Response::new(v1::LoginReply::default()))
    }

    async fn logout(&self, _: Request<v1::BankLogoutRequest>) -> Result<Response<v1::LogoutReply>, Status> {
        Err(Status::data_loss("nonsense"))
    }

    async fn history(
        &self,
        _: Request<v1::BankHistoryRequest>,
    ) -> Result<Response<v1::HistoryReply>, Status> {
        Err(Status::data_loss("nonsense"))
    }

    async fn life(&self, _: Request<v1::BankLifeRequest>) -> Result<Response<v1::LifeReply>, Status> {
        Err(Status::data_loss("nonsense"))
    }

    async fn watch(&self, _: Request<v1::BankWatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::data_loss("nonsense"))
    }
}
