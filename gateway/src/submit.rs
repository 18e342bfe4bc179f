//! Submitting orders: one by a call, many over a stream. An order is treated alike on both ways.

use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use strife_daemon::call::Call;
use strife_daemon::ready::batches;
use strife_proto::Refusal;
use strife_proto::commit::coordinator::Start;
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::well_formed;
use strife_proto::v1::numbered_reply::Result as Answer;
use strife_proto::v1::transfer_reply::State;
use strife_proto::v1::{self, SubmitManyReply, SubmitManyRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tonic::{Status, Streaming};

use crate::drive::{Driver, Told};
use crate::service::{Clients, Session, describe, note_outcome, pending};

/// Orders of one message of a stream at the most.
const ORDERS_PER_MESSAGE_MAX: usize = 256;
/// Orders of one stream whose answer has not gone out; it is read on as answers go.
const UNANSWERED_MAX: u32 = 256;

impl Clients {
    /// Submits one order of a session.
    ///
    /// # Errors
    /// What a door refuses: this submission changed no balance.
    pub(crate) async fn submit_one(
        &self,
        session: &Session,
        message: v1::SubmitRequest,
        call: &Call,
    ) -> Result<v1::TransferReply, Refusal> {
        let permit = self.drives.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        self.submit_with(permit, session, message, call).await
    }

    /// `permit` is held until the transfer is driven to its end.
    async fn submit_with(
        &self,
        permit: impl Send + 'static,
        session: &Session,
        message: v1::SubmitRequest,
        call: &Call,
    ) -> Result<v1::TransferReply, Refusal> {
        let signed = message.order.ok_or(Refusal::Malformed)?;
        let order = Arc::new(ReceivedOrder::decode(signed.order)?);
        let signature = well_formed(signed.signature)?;
        describe(&order, call);
        if order.order().network != self.trust.network() {
            return Err(Refusal::WrongNetwork);
        }
        if order.key().bank != session.link.name {
            return Err(Refusal::NotPayersBank);
        }
        self.link(&order.order().payee.bank)?;
        match self.drive(permit, order, signature, message.again, call).await {
            Told::Ended(ended) => {
                let (statement, acknowledgement) = *ended;
                note_outcome(&statement, self.trust.network(), call);
                Ok(v1::TransferReply { state: Some(State::Ended(statement)), acknowledgement })
            }
            Told::Pending => {
                call.note(|facts| facts.code = Some("PENDING".into()));
                Ok(pending())
            }
            Told::Refused(refusal) => Err(refusal),
        }
    }

    async fn drive(
        &self,
        permit: impl Send + 'static,
        order: Arc<ReceivedOrder>,
        signature: v1::Signature,
        again: bool,
        call: &Call,
    ) -> Told {
        let held = self.in_hand.take(&order);
        // somebody else's copy of the same bytes is on its way: ask first
        let start = if again || held.is_none() { Start::Again } else { Start::Fresh };
        let driver = Driver::new(self.links.clone(), order, Some(signature), call.request_id.clone());
        let (sender, receiver) = oneshot::channel();
        // goes on to deliver after the client was told, and if the client goes away
        tokio::spawn(async move {
            driver.run(start, Some(sender)).await;
            drop((held, permit));
        });
        receiver.await.unwrap_or(Told::Pending)
    }

    /// Submits what comes over a stream, and yields the answers that are ready. It ends with the session, and with the
    /// daemon; what is on its way then is as after a call that broke.
    pub(crate) fn submit_many(
        self,
        session: Session,
        requests: Streaming<SubmitManyRequest>,
        call: Call,
        room: OwnedSemaphorePermit,
    ) -> impl Stream<Item = Result<SubmitManyReply, Status>> + Send + 'static {
        let (sender, receiver) = mpsc::channel(ORDERS_PER_MESSAGE_MAX);
        let many = Many {
            clients: self,
            session: Arc::new(session),
            call,
            unanswered: Arc::new(Semaphore::new(UNANSWERED_MAX as usize)),
            sender,
        };
        tokio::spawn(async move {
            many.run(requests).await;
            drop(room);
        });
        batches(receiver, ORDERS_PER_MESSAGE_MAX).flat_map(|ready| futures::stream::iter(messages(ready)))
    }
}

/// An answer, and its place among those that have not gone out.
struct Answered {
    reply: v1::NumberedReply,
    _place: OwnedSemaphorePermit,
}

/// What is ready in one message, and the reason of the end, if there is one, after it.
fn messages(ready: Vec<Result<Answered, Status>>) -> Vec<Result<SubmitManyReply, Status>> {
    let (mut replies, mut end) = (Vec::with_capacity(ready.len()), None);
    for answered in ready {
        match answered {
            Ok(answered) => replies.push(answered.reply),
            Err(status) => end = Some(Err(status)),
        }
    }
    let replies = (!replies.is_empty()).then(|| Ok(SubmitManyReply { replies }));
    replies.into_iter().chain(end).collect()
}

/// One stream of orders.
struct Many {
    clients: Clients,
    session: Arc<Session>,
    call: Call,
    unanswered: Arc<Semaphore>,
    sender: mpsc::Sender<Result<Answered, Status>>,
}

impl Many {
    /// Serves the stream until its session, its client or the daemon ends. What was taken is answered before the reason
    /// is told.
    async fn run(&self, requests: Streaming<SubmitManyRequest>) {
        let served = tokio::select! {
            biased;
            () = self.clients.stop.asked() => return,
            () = self.sender.closed() => return,
            () = self.clients.session_ends(&self.session) => Err(Refusal::SessionExpired.into()),
            served = self.serve(requests) => served,
        };
        tokio::select! {
            biased;
            () = self.clients.stop.asked() => {}
            () = self.sender.closed() => {}
            _ = self.unanswered.acquire_many(UNANSWERED_MAX) => {}
        }
        if let Err(status) = served {
            // whoever has gone needs no reason
            let _ = self.sender.send(Err(status)).await;
        }
    }

    async fn serve(&self, mut requests: Streaming<SubmitManyRequest>) -> Result<(), Status> {
        while let Some(message) = requests.message().await? {
            if message.orders.len() > ORDERS_PER_MESSAGE_MAX {
                return Err(Refusal::Malformed.into());
            }
            for numbered in message.orders {
                // none is ever closed
                let (Ok(place), Ok(share), Ok(permit)) = (
                    self.unanswered.clone().acquire_owned().await,
                    self.clients.streams_share.clone().acquire_owned().await,
                    self.clients.drives.clone().acquire_owned().await,
                ) else {
                    return Ok(());
                };
                self.submit(numbered, place, (share, permit));
            }
        }
        Ok(())
    }

    fn submit(&self, numbered: v1::NumberedSubmit, place: OwnedSemaphorePermit, permit: impl Send + 'static) {
        let (clients, session, sender) = (self.clients.clone(), self.session.clone(), self.sender.clone());
        let number = numbered.number;
        let call = Call::new(&format!("{}/{number}", self.call.request_id));
        tokio::spawn(async move {
            let begun = Instant::now();
            let answered = match numbered.submit {
                Some(submit) => clients.submit_with(permit, &session, submit, &call).await,
                None => Err(Refusal::Malformed),
            };
            let (result, refusal) = match answered {
                Ok(reply) => (Answer::Reply(reply), None),
                Err(refusal) => (Answer::Refusal(refusal.into()), Some(refusal.name())),
            };
            // whoever has gone asks again
            let reply = v1::NumberedReply { number, result: Some(result) };
            let _ = sender.send(Ok(Answered { reply, _place: place })).await;
            let facts = call.facts();
            tracing::info!(
                target: "strife::rpc",
                method = "Gateway.SubmitMany/Order",
                person = session.person,
                transfer = facts.transfer,
                amount = facts.amount,
                code = refusal.map(str::to_owned).or(facts.code),
                latency_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                request = &*call.request_id,
            );
        });
    }
}
