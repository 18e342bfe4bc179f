//! What the worker owns, and its loop.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use strife_config::ClientSettings;
use strife_proto::commit::{BankName, TransferId};
use strife_proto::v1;
use tokio::sync::{mpsc, watch};

use super::calls::{Event, beat, fetch_history, log_in, watch_balances};
use super::{Command, Problem, after};
use crate::api::{Api, ApiError, Session};
use crate::device::{SecretStore, device_key};
use crate::outbox::{Outbox, OutboxStore};
use crate::view::{Connection, Notice, NoticeKind, Profile, View};

/// How often the gateway is asked whether it is there, in milliseconds.
const HEARTBEAT_MS: u64 = 4_000;
/// Longest wait before a lost gateway is tried again, in milliseconds.
const RECONNECT_MS_MAX: u64 = 4_000;
/// Notices that are kept for the screen.
const NOTICES_MAX: usize = 20;

/// The worker's whole state.
pub(super) struct Worker {
    pub settings: ClientSettings,
    pub api: Api,
    pub outbox: Outbox,
    pub secrets: Box<dyn SecretStore>,
    pub session: Option<Session>,
    /// Counts sessions: what comes back from another one is dropped.
    pub epoch: u64,
    pub connection: Connection,
    pub banks: Vec<(String, bool)>,
    pub profile: Option<Profile>,
    pub live: bool,
    pub position: u64,
    pub movements_seen: u64,
    pub notices: Vec<Notice>,
    pub next_notice: u64,
    /// When each waiting order is tried next, and why it waits.
    pub waits: HashMap<TransferId, (Instant, String)>,
    /// Orders that are on their way.
    pub in_flight: HashMap<TransferId, tokio::task::AbortHandle>,
    pub events: mpsc::Sender<Event>,
    received: Option<mpsc::Receiver<Event>>,
    next_beat: Option<Instant>,
    watching: Option<tokio::task::AbortHandle>,
    address: String,
    publish: watch::Sender<View>,
}

impl Worker {
    pub fn new(
        settings: ClientSettings,
        address: String,
        api: Api,
        outbox: Outbox,
        secrets: Box<dyn SecretStore>,
    ) -> (Self, watch::Receiver<View>) {
        let (events, received) = mpsc::channel(256);
        let profile = read_profile(&profile_path(&settings));
        let view = View {
            network: api.network().to_owned(),
            gateway: address.clone(),
            connection: Connection::Reconnecting { attempt: 0, next_try: Instant::now() },
            banks: Vec::new(),
            profile: profile.clone(),
            signed_in: false,
            live: false,
            position: 0,
            orders: Vec::new(),
            movements_seen: 0,
            notices: Vec::new(),
            key_place: secrets.place(),
        };
        let (publish, watched) = watch::channel(view);
        let mut worker = Self {
            settings,
            api,
            outbox,
            secrets,
            session: None,
            epoch: 0,
            connection: Connection::Reconnecting { attempt: 0, next_try: Instant::now() },
            banks: Vec::new(),
            profile,
            live: false,
            position: 0,
            movements_seen: 0,
            notices: Vec::new(),
            next_notice: 1,
            waits: HashMap::new(),
            in_flight: HashMap::new(),
            events,
            received: Some(received),
            next_beat: Some(Instant::now()),
            watching: None,
            address,
            publish,
        };
        if let Some(mended) = worker.outbox.mended.clone() {
            worker.notice(NoticeKind::Bad, mended);
        }
        (worker, watched)
    }

    /// Runs until stopped, or until nobody holds the client any more.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        // taken once, here
        let Some(mut events) = self.received.take() else { return };
        loop {
            self.send_what_is_due().await;
            self.show();
            let wake = self.next_wake();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop(done)) => {
                        drop(self);
                        // whoever asked may be gone
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                event = events.recv() => if let Some(event) = event { self.take(event).await },
                () = sleep_until(wake) => self.beat_if_due(),
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let retries = self.can_send().then(|| self.waits.values().map(|(at, _)| *at).min()).flatten();
        [self.next_beat, retries].into_iter().flatten().min()
    }

    /// Orders can be sent: there is a session, and the gateway answers.
    pub fn can_send(&self) -> bool {
        self.session.is_some() && self.connection.is_online()
    }

    fn beat_if_due(&mut self) {
        if self.next_beat.is_some_and(|at| at <= Instant::now()) {
            self.next_beat = None;
            beat(self.api.clone(), self.events.clone());
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::LogIn { bank, person, password, answer } => {
                match device_key(self.secrets.as_ref(), self.api.network(), &bank, &person) {
                    Ok(key) => {
                        self.end_session();
                        let epoch = self.epoch;
                        log_in(
                            self.api.clone(),
                            self.events.clone(),
                            (bank, person, password),
                            key,
                            epoch,
                            answer,
                        );
                    }
                    // a screen that has gone does not need the answer
                    Err(error) => drop(answer.send(Err(error.into()))),
                }
            }
            Command::LogOut => {
                if let Some(session) = self.session.clone() {
                    let api = self.api.clone();
                    // best effort: the session ends by itself otherwise
                    tokio::spawn(async move { drop(api.log_out(&session).await) });
                }
                self.end_session();
            }
            Command::Pay { payment, answer } => {
                let result = self.pay(payment).await;
                drop(answer.send(result));
            }
            Command::History { asked, answer } => match self.session.clone() {
                Some(session) => fetch_history(self.api.clone(), session, asked, answer),
                None => drop(answer.send(Err(Problem::SignedOut))),
            },
            Command::Retry(id) => self.retry(id).await,
            Command::Cancel { id, answer } => {
                let result = self.cancel(id).await;
                drop(answer.send(result));
            }
            Command::SendAgain(id) => self.send_again(id).await,
            Command::Dismiss(id) => self.dismiss(|other, _| other == id).await,
            Command::DismissEnded => self.dismiss(|_, stored| stored.is_ended()).await,
            Command::SetOffline(true) => {
                self.connection = Connection::Offline;
                self.stop_watching();
                self.next_beat = None;
            }
            Command::SetOffline(false) => {
                if self.connection == Connection::Offline {
                    self.connection = Connection::Reconnecting { attempt: 0, next_try: Instant::now() };
                    self.next_beat = Some(Instant::now());
                }
            }
            // taken by the loop
            Command::Stop(_) => {}
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Beat { result, latency } => self.beaten(result, latency),
            Event::SignedIn { epoch, session } if epoch == self.epoch => {
                let accounts = self.profile.take().filter(|profile| {
                    profile.person == session.person && profile.bank == session.bank.as_str()
                });
                self.profile = Some(Profile {
                    bank: session.bank.to_string(),
                    person: session.person.clone(),
                    display_name: session.display_name.clone(),
                    as_of_ms: accounts.as_ref().map_or(0, |profile| profile.as_of_ms),
                    accounts: accounts.map(|profile| profile.accounts).unwrap_or_default(),
                });
                self.session = Some(session);
                self.waits.clear();
                self.watch();
            }
            Event::Watched { epoch, reply } if epoch == self.epoch => self.watched(reply),
            Event::WatchEnded { epoch, error } if epoch == self.epoch => self.watch_ended(error),
            Event::Sent { epoch, id, action, result } => self.sent(epoch, id, action, result).await,
            // of a session that is over
            Event::SignedIn { .. } | Event::Watched { .. } | Event::WatchEnded { .. } => {}
        }
    }

    fn beaten(&mut self, result: Result<Vec<v1::BankStatus>, ApiError>, latency: Duration) {
        if self.connection == Connection::Offline {
            return;
        }
        let was_online = self.connection.is_online();
        match result {
            Ok(banks) => {
                let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                self.connection = Connection::Online { latency_ms };
                self.banks = banks.into_iter().map(|bank| (bank.name, bank.reachable)).collect();
                self.next_beat = Some(after(Duration::from_millis(HEARTBEAT_MS)));
                if !was_online {
                    // the wait of every order is cut short
                    self.waits.clear();
                    self.watch();
                }
            }
            Err(_) => self.lost(),
        }
    }

    /// The gateway does not answer.
    pub fn lost(&mut self) {
        let attempt = match self.connection {
            Connection::Offline => return,
            Connection::Online { .. } => 1,
            Connection::Reconnecting { attempt, .. } => attempt + 1,
        };
        let wait_ms = (250u64 << attempt.min(8)).min(RECONNECT_MS_MAX);
        let next_try = after(Duration::from_millis(wait_ms));
        self.connection = Connection::Reconnecting { attempt, next_try };
        self.next_beat = Some(next_try);
        self.stop_watching();
    }

    fn watch(&mut self) {
        self.stop_watching();
        if let (Some(session), true) = (self.session.clone(), self.connection.is_online()) {
            let (api, events) = (self.api.clone(), self.events.clone());
            self.watching = Some(watch_balances(api, session, self.position, self.epoch, events));
        }
    }

    fn stop_watching(&mut self) {
        self.live = false;
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
    }

    fn watched(&mut self, reply: v1::WatchReply) {
        self.live = true;
        self.position = reply.position;
        if let Some(profile) = &mut self.profile {
            profile.accounts = reply.accounts.into_iter().map(Into::into).collect();
            profile.as_of_ms = crate::now_ms();
            write_profile(&profile_path(&self.settings), profile);
        }
        for movement in reply.movements {
            self.movements_seen += 1;
            if movement.minor_units > 0 && movement.kind == "transfer" {
                let amount = match strife_proto::domain::Currency::new(&movement.currency) {
                    Ok(currency) => format!("{} {currency}", currency.format(movement.minor_units)),
                    Err(_) => format!("{} minor units of {}", movement.minor_units, movement.currency),
                };
                self.notice(NoticeKind::Good, format!("{amount} came in from {}", movement.counterpart));
            }
        }
    }

    fn watch_ended(&mut self, error: ApiError) {
        self.live = false;
        match error {
            ApiError::Refused(
                refusal @ (strife_proto::Refusal::SessionExpired
                | strife_proto::Refusal::SessionInvalid
                | strife_proto::Refusal::SessionMissing),
            ) => self.session_over(refusal),
            _ => {
                // ask whether the gateway is there at all; the answer begins a new watch
                if self.connection.is_online() {
                    self.lost();
                }
            }
        }
    }

    /// The bank says that the session is over. The queue stays as it is.
    pub fn session_over(&mut self, refusal: strife_proto::Refusal) {
        if self.session.is_some() {
            self.end_session();
            self.notice(NoticeKind::Bad, format!("{} The queue is kept.", refusal.sentence()));
        }
    }

    fn end_session(&mut self) {
        self.epoch += 1;
        self.session = None;
        self.position = 0;
        self.stop_watching();
        self.waits.clear();
    }

    pub fn notice(&mut self, kind: NoticeKind, text: String) {
        self.notices.push(Notice { number: self.next_notice, kind, text });
        self.next_notice += 1;
        if self.notices.len() > NOTICES_MAX {
            self.notices.remove(0);
        }
    }

    /// Publishes the view if it has changed.
    fn show(&self) {
        let view = View {
            network: self.api.network().to_owned(),
            gateway: self.address.clone(),
            connection: self.connection.clone(),
            banks: self.banks.clone(),
            profile: self.profile.clone(),
            signed_in: self.session.is_some(),
            live: self.live,
            position: self.position,
            orders: self.orders(),
            movements_seen: self.movements_seen,
            notices: self.notices.clone(),
            key_place: self.secrets.place(),
        };
        self.publish.send_if_modified(|shown| {
            let changed = *shown != view;
            if changed {
                *shown = view;
            }
            changed
        });
    }

    /// The payer's bank of the profile.
    pub fn own_bank(&self) -> Option<BankName> {
        self.profile.as_ref().and_then(|profile| BankName::new(&profile.bank).ok())
    }

    /// Every stored order.
    pub fn stored(&self) -> &std::collections::BTreeMap<TransferId, crate::outbox::Stored> {
        self.outbox.all()
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn profile_path(settings: &ClientSettings) -> PathBuf {
    settings.data_dir.join("profile.json")
}

/// Who worked here last, so that the queue can be filled offline. Nothing is lost without it.
fn read_profile(path: &std::path::Path) -> Option<Profile> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write_profile(path: &std::path::Path, profile: &Profile) {
    if let Ok(text) = serde_json::to_vec(profile) {
        // only a convenience: the next one may succeed
        let _ = strife_certs::pem::write_secret(path, &text);
    }
}
