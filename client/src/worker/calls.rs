//! Calls to the gateway, each in a task of its own that comes back as an event.

use std::sync::Arc;
use std::time::Duration;

use strife_proto::commit::{BankName, Key, TransferId};
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::SigningKey;
use strife_proto::v1;
use strife_seams::Work;
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{Answer, Problem};
use crate::api::{Api, ApiError, Known, Session};
use crate::device::{SecretStore, device_key};
use crate::sync::Action;
use crate::view::Life;

/// What comes back.
pub(super) enum Event {
    Beat { result: Result<Vec<v1::BankStatus>, ApiError>, latency: Duration },
    SignedIn { epoch: u64, session: Session, device: Arc<SigningKey>, answer: Answer<()> },
    Watched { epoch: u64, reply: v1::WatchReply },
    WatchEnded { epoch: u64, error: ApiError },
    Sent { epoch: u64, id: TransferId, action: Action, result: Result<Known, ApiError> },
}

/// A worker that has stopped does not need the event.
async fn give(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}

pub(super) fn beat(api: Api, events: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let begun = Instant::now();
        let result = api.banks().await;
        give(&events, Event::Beat { result, latency: begun.elapsed() }).await;
    });
}

/// Reads or makes the device key and signs in, off the worker: a keyring may take its time.
pub(super) fn log_in(
    api: Api,
    events: mpsc::Sender<Event>,
    (bank, person, password): (BankName, String, Zeroizing<String>),
    (secrets, work): (Arc<dyn SecretStore>, Work),
    epoch: u64,
    answer: Answer<()>,
) {
    tokio::spawn(async move {
        let result = async {
            let (network, at, who) = (api.network().to_owned(), bank.clone(), person.clone());
            let key = work.blocking(move || device_key(secrets.as_ref(), &network, &at, &who));
            let device = Arc::new(key.await.map_err(|_| Problem::Stopping)??);
            let session = api.log_in(&bank, &person, password, &device).await?;
            Ok((session, device))
        };
        match result.await {
            Ok((session, device)) => give(&events, Event::SignedIn { epoch, session, device, answer }).await,
            // a screen that has gone does not need the answer
            Err(problem) => drop(answer.send(Err(problem))),
        }
    });
}

pub(super) fn fetch_history(
    api: Api,
    session: Session,
    asked: v1::HistoryRequest,
    answer: Answer<v1::HistoryReply>,
) {
    tokio::spawn(async move {
        let result = api.history(&session, asked).await;
        drop(answer.send(result.map_err(Into::into)));
    });
}

pub(super) fn fetch_life(api: Api, session: Session, key: Key, answer: Answer<Life>) {
    tokio::spawn(async move {
        let result = api.life(&session, &key).await;
        drop(answer.send(result.map_err(Into::into)));
    });
}

pub(super) fn watch_balances(
    api: Api,
    session: Session,
    after_position: u64,
    epoch: u64,
    events: mpsc::Sender<Event>,
) -> tokio::task::AbortHandle {
    let task = tokio::spawn(async move {
        let error = match api.watch(&session, after_position).await {
            Err(error) => error,
            Ok(mut replies) => loop {
                match replies.message().await {
                    Ok(Some(reply)) => {
                        if events.send(Event::Watched { epoch, reply }).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break ApiError::Unknown("the stream ended".into()),
                    Err(status) => break status.into(),
                }
            },
        };
        give(&events, Event::WatchEnded { epoch, error }).await;
    });
    task.abort_handle()
}

/// What a call about an order needs.
pub(super) struct OrderCall {
    pub api: Api,
    pub session: Session,
    pub order: ReceivedOrder,
    pub signature: v1::Signature,
    pub device: Arc<SigningKey>,
    pub epoch: u64,
}

pub(super) fn send(call: OrderCall, action: Action, events: mpsc::Sender<Event>) -> tokio::task::AbortHandle {
    let task = tokio::spawn(async move {
        let OrderCall { api, session, order, signature, device, epoch } = call;
        let result = match action {
            Action::Submit { again } => api.submit(&session, &order, &signature, again).await,
            Action::Cancel => api.cancel(&session, &order, &device).await,
            Action::AskOutcome => api.outcome(&session, &order).await,
        };
        let id = order.key().id;
        give(&events, Event::Sent { epoch, id, action, result }).await;
    });
    task.abort_handle()
}
