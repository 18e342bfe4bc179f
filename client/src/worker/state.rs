//! What the worker owns, and its loop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strife_config::ClientSettings;
use strife_proto::commit::{BankName, TransferId};
use strife_proto::signing::SigningKey;
use strife_proto::v1;
use strife_seams::Seams;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::calls::{Event, beat, fetch_history, fetch_life, log_in, watch_balances};
use super::{Command, Parts, Problem, after};
use crate::api::{Api, ApiError, Session};
use crate::device::SecretStore;
use crate::outbox::OutboxStore;
use crate::sync::back_off;
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
    pub outbox: Box<dyn OutboxStore>,
    pub secrets: Arc<dyn SecretStore>,
    pub seams: Seams,
    pub session: Option<Session>,
    /// The session's device key.
    pub device: Option<Arc<SigningKey>>,
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
    pub waits: BTreeMap<TransferId, (Instant, String)>,
    /// How often each order was asked about since it last got on.
    pub tries: BTreeMap<TransferId, u32>,
    /// Orders that are on their way.
    pub in_flight: BTreeMap<TransferId, tokio::task::AbortHandle>,
    pub events: mpsc::Sender<Event>,
    received: Option<mpsc::Receiver<Event>>,
    next_beat: Option<Instant>,
    next_watch: Option<Instant>,
    watch_tries: u32,
    watching: Option<tokio::task::AbortHandle>,
    address: String,
    publish: watch::Sender<View>,
}

impl Worker {
    pub fn new(
        settings: ClientSettings,
        address: String,
        api: Api,
        Parts { outbox, secrets, seams }: Parts,
    ) -> (Self, watch::Receiver<View>) {
        let (events, received) = mpsc::channel(256);
        let profile = read_profile(&profile_path(&settings));
        let view = View {
            network: api.network().to_owned(),
            gateway: address.clone(),
            connection: Connection::Reconnecting { attempt: 0, next_try: Instant::now().into_std() },
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
            seams,
            session: None,
            device: None,
            epoch: 0,
            connection: Connection::Reconnecting { attempt: 0, next_try: Instant::now().into_std() },
            banks: Vec::new(),
            profile,
            live: false,
            position: 0,
            movements_seen: 0,
            notices: Vec::new(),
            next_notice: 1,
            waits: BTreeMap::new(),
            tries: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            events,
            received: Some(received),
            next_beat: Some(Instant::now()),
            next_watch: None,
            watch_tries: 0,
            watching: None,
            address,
            publish,
        };
        worker.tell_trouble();
        (worker, watched)
    }

    /// Runs until stopped, or until nobody holds the client any more.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        // taken once, here
        let Some(mut events) = self.received.take() else { return };
        loop {
            self.send_what_is_due().await;
            self.tell_trouble();
            self.show();
            let wake = self.next_wake();
            tokio::select! {
                biased;
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
                () = sleep_until(wake) => self.tick(),
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let watch = self.next_watch.filter(|_| self.can_send());
        [self.next_beat, watch, self.next_due()].into_iter().flatten().min()
    }

    fn tell_trouble(&mut self) {
        if let Some(trouble) = self.outbox.take_trouble() {
            self.notice(NoticeKind::Bad, trouble);
        }
    }

    /// Orders can be sent: there is a session, and the gateway answers.
    pub fn can_send(&self) -> bool {
        self.session.is_some() && self.connection.is_online()
    }

    /// Does what the time has come for.
    fn tick(&mut self) {
        let now = Instant::now();
        if self.next_beat.is_some_and(|at| at <= now) {
            self.next_beat = None;
            beat(self.api.clone(), self.events.clone());
        }
        if self.can_send() && self.next_watch.is_some_and(|at| at <= now) {
            self.watch();
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::LogIn { bank, person, password, answer } => {
                self.end_session();
                let secrets = (self.secrets.clone(), self.seams.work);
                let (api, events) = (self.api.clone(), self.events.clone());
                log_in(api, events, (bank, person, password), secrets, self.epoch, answer);
            }
            Command::LogOut => {
                if let Some(session) = self.session.clone() {
                    let api = self.api.clone();
                    // best effort: the session ends by itself otherwise
                    tokio::spawn(async move { drop(api.log_out(&session).await) });
                }
                self.end_session();
                self.forget_balances();
            }
            Command::Pay { payment, answer } => self.pay(payment, answer).await,
            Command::History { asked, answer } => match self.session.clone() {
                Some(session) => fetch_history(self.api.clone(), session, asked, answer),
                None => drop(answer.send(Err(Problem::SignedOut))),
            },
            Command::Life { key, answer } => match self.session.clone() {
                Some(session) => fetch_life(self.api.clone(), session, key, answer),
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
                    self.connection =
                        Connection::Reconnecting { attempt: 0, next_try: Instant::now().into_std() };
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
            Event::SignedIn { epoch, session, device, answer } if epoch == self.epoch => {
                let known = self.profile.take().filter(|profile| {
                    profile.person == session.person && profile.bank == session.bank.as_str()
                });
                self.profile = Some(Profile {
                    bank: session.bank.to_string(),
                    person: session.person.clone(),
                    display_name: session.display_name.clone(),
                    as_of_ms: known.as_ref().map_or(0, |profile| profile.as_of_ms),
                    accounts: known.map(|profile| profile.accounts).unwrap_or_default(),
                    signed_out: false,
                    device_key: device.public().id().0.to_vec(),
                });
                self.session = Some(session);
                self.device = Some(device);
                self.waits.clear();
                self.watch();
                // a screen that has gone does not need the answer
                drop(answer.send(Ok(())));
            }
            // signed out, or in again, meanwhile: this session is not used
            Event::SignedIn { session, answer, .. } => {
                let api = self.api.clone();
                tokio::spawn(async move { drop(api.log_out(&session).await) });
                drop(answer.send(Err(Problem::SignedOut)));
            }
            Event::Watched { epoch, reply } if epoch == self.epoch => self.watched(reply),
            Event::WatchEnded { epoch, error } if epoch == self.epoch => self.watch_ended(error),
            Event::Sent { epoch, id, action, result } => self.sent(epoch, id, action, result).await,
            // of a session that is over
            Event::Watched { .. } | Event::WatchEnded { .. } => {}
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
                let banks: Vec<(String, bool)> =
                    banks.into_iter().map(|bank| (bank.name, bank.reachable)).collect();
                let is_back = |(name, reachable): &(String, bool)| {
                    *reachable && self.banks.iter().any(|(known, before)| known == name && !before)
                };
                let somebody_is_back = !was_online || banks.iter().any(is_back);
                self.banks = banks;
                self.next_beat = Some(after(Duration::from_millis(HEARTBEAT_MS)));
                if somebody_is_back {
                    // the wait of every order is cut short
                    self.waits.clear();
                    self.tries.clear();
                }
                if somebody_is_back && self.watching.is_none() {
                    self.watch();
                }
            }
            Err(_) => self.lost(),
        }
    }

    /// Asks the gateway now whether it is there, unless it is being asked.
    pub fn beat_now(&mut self) {
        if self.connection.is_online() && self.next_beat.is_some() {
            self.next_beat = Some(Instant::now());
        }
    }

    /// The gateway does not answer.
    fn lost(&mut self) {
        let attempt = match self.connection {
            Connection::Offline => return,
            Connection::Online { .. } => 1,
            Connection::Reconnecting { attempt, .. } => attempt + 1,
        };
        let next_try = after(back_off(attempt, 500, RECONNECT_MS_MAX, self.jitter()));
        self.connection = Connection::Reconnecting { attempt, next_try: next_try.into_std() };
        self.next_beat = Some(next_try);
        self.stop_watching();
        // the next gateway of the list, if there are several
        let at = self.settings.gateways.iter().position(|address| *address == self.address).unwrap_or(0);
        let next = self.settings.gateways.get((at + 1) % self.settings.gateways.len().max(1));
        if let Some(next) = next.filter(|next| **next != self.address).cloned() {
            self.api = self.api.at(&next);
            self.address = next;
        }
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
        self.next_watch = None;
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
    }

    fn watched(&mut self, reply: v1::WatchReply) {
        self.live = true;
        self.watch_tries = 0;
        self.position = reply.position;
        if let Some(profile) = &mut self.profile {
            profile.accounts = reply.accounts.into_iter().map(Into::into).collect();
            profile.as_of_ms = self.seams.now_ms();
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
        self.watching = None;
        match error {
            ApiError::Refused(refusal) if refusal.wants_sign_in() => self.session_over(refusal),
            _ => {
                // the gateway or the bank behind it: ask the gateway, and try again in a while
                self.watch_tries += 1;
                let wait = back_off(self.watch_tries, 500, RECONNECT_MS_MAX, self.jitter());
                self.next_watch = Some(after(wait));
                self.beat_now();
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
        self.device = None;
        self.position = 0;
        self.stop_watching();
        self.waits.clear();
    }

    /// The person has signed out: who comes next at this screen sees no balances.
    fn forget_balances(&mut self) {
        let Some(profile) = &mut self.profile else { return };
        profile.signed_out = true;
        profile.as_of_ms = 0;
        for account in &mut profile.accounts {
            (account.posted, account.held, account.available, account.incoming) = (0, 0, 0, 0);
        }
        write_profile(&profile_path(&self.settings), profile);
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

    /// Without randomness all clients of a network would come back at once; half of the wait is a fair default.
    pub fn jitter(&self) -> u16 {
        self.seams.random::<2>().map(u16::from_be_bytes).unwrap_or(u16::MAX / 2)
    }

    /// The payer's bank of the profile.
    pub fn own_bank(&self) -> Option<BankName> {
        self.profile.as_ref().and_then(|profile| BankName::new(&profile.bank).ok())
    }

    /// Every stored order.
    pub fn stored(&self) -> &BTreeMap<TransferId, crate::outbox::Stored> {
        self.outbox.all()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop_watching();
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
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
