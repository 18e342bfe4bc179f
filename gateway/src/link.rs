//! The link to one bank: one mTLS connection, one bidirectional stream, everything that is ready in one frame.
//! It reconnects for as long as the gateway runs. What was asked when it broke is unknown, never failed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_config::GatewaySettings;
use strife_daemon::lifecycle::Stop;
use strife_daemon::trust::Trust;
use strife_faults::kill::{self, When};
use strife_proto::commit::BankName;
use strife_proto::v1::bank_client::BankClient;
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;
use strife_proto::v1::{self};
use strife_seams::Seams;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::Channel;

/// First and longest wait between tries to connect, in milliseconds.
const RECONNECT_MS_MIN: u64 = 50;
const RECONNECT_MS_MAX: u64 = 1_000;

/// Why there is no answer. None of these says what the bank did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// There is no connection: nothing was sent.
    Unreachable,
    /// The queue to the bank is full: nothing was sent.
    Busy,
    /// Sent, and not answered in time or before the connection broke.
    Unknown,
}

type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Reply>>>;

/// The link to one bank.
#[derive(Debug)]
pub struct BankLink {
    /// The bank.
    pub name: BankName,
    channel: Channel,
    requests: mpsc::Sender<v1::LinkRequest>,
    waiting: Arc<Waiting>,
    reachable: watch::Receiver<bool>,
    next_number: Arc<AtomicU64>,
}

impl BankLink {
    /// Begins to connect to a bank, and goes on until a stop is asked for.
    pub fn begin(
        name: BankName,
        address: &str,
        settings: &GatewaySettings,
        trust: &Trust,
        seams: &Seams,
        stop: Stop,
    ) -> Arc<Self> {
        let identity = Identity::Bank(name.clone());
        let expected = identity.clone();
        let (dial, connect_ms) = (seams.dial.clone(), settings.timeouts.connect_ms);
        let channel = channel(dial, address, trust.client.clone(), &identity, connect_ms, move |peer| {
            *peer == expected
        });
        let (requests, queue) = mpsc::channel(settings.limits.link_queue_max);
        let (reach, reachable) = watch::channel(false);
        let link = Arc::new(Self {
            name,
            channel: channel.clone(),
            requests,
            waiting: Arc::default(),
            reachable,
            next_number: Arc::new(AtomicU64::new(1)),
        });
        let keeper = Keeper {
            name: link.name.clone(),
            waiting: link.waiting.clone(),
            next_number: link.next_number.clone(),
            reach,
            batch_max: settings.limits.link_batch_max,
        };
        tokio::spawn(keeper.keep(channel, queue, stop));
        link
    }

    /// For calls beside the stream: log-in, history, watch.
    pub fn client(&self) -> BankClient<Channel> {
        BankClient::new(self.channel.clone())
    }

    /// Whether the link stands.
    pub fn is_reachable(&self) -> bool {
        *self.reachable.borrow()
    }

    /// Sends a message and waits for its answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn ask(&self, message: Asked, request_id: &str, within_ms: u64) -> Result<Reply, NoAnswer> {
        if !self.is_reachable() {
            return Err(NoAnswer::Unreachable);
        }
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(number, sender);
        let request = v1::LinkRequest { number, message: Some(message), request_id: request_id.to_owned() };
        if self.requests.try_send(request).is_err() {
            self.lock().remove(&number);
            return Err(NoAnswer::Busy);
        }
        let answer = tokio::time::timeout(Duration::from_millis(within_ms), receiver).await;
        self.lock().remove(&number);
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            _ => Err(NoAnswer::Unknown),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one link up.
struct Keeper {
    name: BankName,
    waiting: Arc<Waiting>,
    /// What the next question will be numbered.
    next_number: Arc<AtomicU64>,
    reach: watch::Sender<bool>,
    batch_max: usize,
}

impl Keeper {
    async fn keep(self, channel: Channel, queue: mpsc::Receiver<v1::LinkRequest>, stop: Stop) {
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let mut wait_ms = RECONNECT_MS_MIN;
        while !stop.is_asked() {
            let up = tokio::select! {
                biased;
                up = self.connected(channel.clone(), queue.clone()) => up,
                () = stop.asked() => return,
            };
            self.reach.send_replace(false);
            // whoever waits learns that nothing is known
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
            wait_ms = if up { RECONNECT_MS_MIN } else { (wait_ms * 2).min(RECONNECT_MS_MAX) };
            tokio::select! {
                biased;
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                () = stop.asked() => return,
            }
        }
    }

    /// One connection, from its beginning to its end. Tells whether it ever stood.
    async fn connected(
        &self,
        channel: Channel,
        queue: Arc<tokio::sync::Mutex<mpsc::Receiver<v1::LinkRequest>>>,
    ) -> bool {
        let mut client = BankClient::new(channel);
        let requests = frames(queue, self.batch_max);
        let mut replies = match client.link(requests).await {
            Ok(response) => response.into_inner(),
            Err(status) => {
                tracing::debug!(target: "strife::daemon", bank = %self.name, %status, "not connected");
                return false;
            }
        };
        tracing::info!(target: "strife::daemon", bank = %self.name, "connected");
        self.reach.send_replace(true);
        let mut odd = Odd::default();
        loop {
            match replies.message().await {
                Ok(Some(frame)) => {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    for reply in frame.replies {
                        match (waiting.remove(&reply.number), reply.message) {
                            (Some(sender), Some(message)) => {
                                // the one who asked has stopped waiting
                                let _ = sender.send(message);
                            }
                            (None, _) if reply.number >= self.next_number.load(Ordering::Relaxed) => {
                                odd.count += 1;
                            }
                            // asked, and answered late, twice, or with nothing
                            _ => {}
                        }
                    }
                    if odd.is_to_be_told() {
                        tracing::warn!(
                            target: "strife::daemon",
                            peer = %self.name, count = odd.count, "answers to what was never asked are left alone"
                        );
                    }
                }
                Ok(None) => {
                    tracing::info!(target: "strife::daemon", bank = %self.name, "disconnected");
                    return true;
                }
                Err(status) => {
                    tracing::warn!(target: "strife::daemon", bank = %self.name, %status, "the link broke");
                    return true;
                }
            }
        }
    }
}

/// Answers to what was never asked. They are told each time that there are twice as many: a peer that goes on does not
/// fill the log.
#[derive(Debug, Default)]
struct Odd {
    count: u64,
    told: u64,
}

impl Odd {
    fn is_to_be_told(&mut self) -> bool {
        let tells = self.count > 0 && self.count >= self.told.saturating_mul(2);
        if tells {
            self.told = self.count;
        }
        tells
    }
}

/// Frames of all that is ready. The queue outlives each connection; what is in it when a new one stands is
/// sent there, and answered to nobody if its asker has gone: every message may be sent twice.
fn frames(
    queue: Arc<tokio::sync::Mutex<mpsc::Receiver<v1::LinkRequest>>>,
    batch_max: usize,
) -> impl Stream<Item = v1::LinkRequests> + Send + 'static {
    futures::stream::unfold((queue, Vec::new()), move |(queue, sent)| async move {
        pass(When::Sent, &sent);
        let mut ready = Vec::new();
        let count = queue.lock().await.recv_many(&mut ready, batch_max).await;
        let names = if kill::watched() { ready.iter().filter_map(named).collect() } else { Vec::new() };
        pass(When::Before, &names);
        (count > 0).then_some((v1::LinkRequests { requests: ready }, (queue, names)))
    })
    .boxed()
}

fn named(request: &v1::LinkRequest) -> Option<&'static str> {
    request.message.as_ref().map(Asked::name)
}

fn pass(when: When, names: &[&str]) {
    for name in names {
        kill::passes(when, &format!("send/{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_answers_are_told_at_once_and_then_ever_more_rarely() {
        let mut odd = Odd::default();
        assert!(!odd.is_to_be_told());
        let told: Vec<u64> = (1..100)
            .filter(|count| {
                odd.count = *count;
                odd.is_to_be_told()
            })
            .collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
        assert!(!odd.is_to_be_told(), "not the same number twice");
    }
}
