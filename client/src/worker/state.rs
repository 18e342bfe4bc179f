//! What the worker owns, and its loop.

use std::collections::{BTreeMap, BTreeSet};
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
use super::keeper::Keeper;
use super::session::is_of;
use super::{Command, Parts, Problem, after};
use crate::api::{Api, ApiError, Session};
use crate::aside::{Read, read_json};
use crate::credentials::{NOWHERE, Vault};
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
    /// In words, where the session is kept or would be.
    pub session_place: Option<String>,
    pub kept: bool,
    pub resuming: bool,
    /// `None` once the worker stops.
    pub keeper: Option<Keeper>,
    pub notices: Vec<Notice>,
    /// Numbers of the notices that are of this machine's files, and not of whoever is signed in.
    pub of_machine: BTreeSet<u64>,
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
        Parts { outbox, secrets, sessions, seams }: Parts,
    ) -> (Self, watch::Receiver<View>) {
        let (events, received) = mpsc::channel(256);
        let vault = Vault::new(sessions, api.network(), &settings.data_dir, seams.work);
        let keeper = Keeper::start(vault, secrets.clone(), api.clone(), seams.clone(), events.clone());
        let resuming = keeper.find(0);
        let (profile, broken) = read_profile(&profile_path(&settings));
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
            session_place: NOWHERE.into(),
            kept: false,
            resuming,
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
            session_place: None,
            kept: false,
            resuming,
            keeper: Some(keeper),
            notices: Vec::new(),
            of_machine: BTreeSet::new(),
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
        if let Some(broken) = broken {
            worker.notice_of_machine(NoticeKind::Bad, broken);
        }
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
                        // whoever still sends an event is not to wait for it
                        drop(events);
                        self.stop().await;
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
            self.notice_of_machine(NoticeKind::Bad, trouble);
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
            Command::LogIn { bank, person, password, keep, answer } => {
                self.end_session();
                let secrets = (self.secrets.clone(), self.seams.work);
                let (api, events) = (self.api.clone(), self.events.clone());
                log_in(api, events, (bank, person, password), secrets, (self.epoch, keep), answer);
            }
            Command::LogOut => {
                if let Some(session) = self.session.clone() {
                    self.end_at_bank(session);
                }
                self.end_session();
                self.forget_notices();
                self.forget_balances();
                self.forget_session();
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
            Event::SignedIn { epoch, session, device, keep, answer } if epoch == self.epoch => {
                if !self.profile.as_ref().is_some_and(|profile| is_of(profile, &session)) {
                    self.forget_notices();
                }
                self.keep_session(keep.then_some(&session), &device);
                self.begin_session(session, device);
                // a screen that has gone does not need the answer
                drop(answer.send(Ok(())));
            }
            // signed out, or in again, meanwhile: this session is not used
            Event::SignedIn { session, answer, .. } => {
                self.end_at_bank(session);
                drop(answer.send(Err(Problem::SignedOut)));
            }
            Event::Found { epoch, place, resumed } => self.found(epoch, place, resumed),
            Event::Kept { epoch, place } if epoch == self.epoch => self.session_is_kept(place),
            Event::Watched { epoch, reply } if epoch == self.epoch => self.watched(reply),
            Event::WatchEnded { epoch, error } if epoch == self.epoch => self.watch_ended(error),
            Event::Sent { epoch, id, action, result } => self.sent(epoch, id, action, result).await,
            // of a session that is over; a log-out has asked to forget what was kept, after it was kept
            Event::Watched { .. } | Event::WatchEnded { .. } | Event::Kept { .. } => {}
        }
    }

    /// Ends the worker; what it asked of the credential stores is done or has run out of time.
    async fn stop(mut self) {
        self.stop_watching();
        if let Some(keeper) = self.keeper.take() {
            keeper.finish().await;
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

    pub fn watch(&mut self) {
        self.stop_watching();
        if let (Some(session), true) = (self.session.clone(), self.connection.is_online()) {
            let (api, events) = (self.api.clone(), self.events.clone());
            self.watching = Some(watch_balances(api, session, self.position, self.epoch, events));
        }
    }

    pub fn stop_watching(&mut self) {
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
            if let Some(words) = money_came(&movement) {
                self.notice(NoticeKind::Good, words);
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

    pub fn notice(&mut self, kind: NoticeKind, text: String) {
        let at_ms = self.seams.now_ms();
        self.notices.push(Notice { number: self.next_notice, at_ms, kind, text });
        self.next_notice += 1;
        if self.notices.len() > NOTICES_MAX {
            let gone = self.notices.remove(0);
            self.of_machine.remove(&gone.number);
        }
    }

    /// A notice that whoever is at this machine has to see.
    pub fn notice_of_machine(&mut self, kind: NoticeKind, text: String) {
        self.of_machine.insert(self.next_notice);
        self.notice(kind, text);
    }

    /// Drops the notices of the person who was signed in: who comes next at this screen does not see them.
    pub fn forget_notices(&mut self) {
        self.notices.retain(|notice| self.of_machine.contains(&notice.number));
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
            session_place: self.session_place.clone().unwrap_or_else(|| NOWHERE.into()),
            kept: self.kept,
            resuming: self.resuming,
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

pub(super) fn profile_path(settings: &ClientSettings) -> PathBuf {
    settings.data_dir.join("profile.json")
}

/// Who worked here last, so that the queue can be filled offline; or, in words, why that is not known.
fn read_profile(path: &std::path::Path) -> (Option<Profile>, Option<String>) {
    match read_json(path) {
        Read::Good(profile) => (Some(profile), None),
        Read::None => (None, None),
        Read::Bad(what) => {
            let words = format!("Who worked here last cannot be read: {what} Sign in to see your queue.");
            (None, Some(words))
        }
    }
}

/// What is told of money that came in, or came back; of nothing else.
fn money_came(movement: &v1::Movement) -> Option<String> {
    if movement.minor_units <= 0 || movement.kind != "transfer" {
        return None;
    }
    let amount = match strife_proto::domain::Currency::new(&movement.currency) {
        Ok(currency) => format!("{} {currency}", currency.format(movement.minor_units)),
        Err(_) => format!("{} minor units of {}", movement.minor_units, movement.currency),
    };
    let came = if movement.refund_of.is_some() { "came back" } else { "came in" };
    Some(format!("{amount} {came} from {}", movement.counterpart))
}

pub(super) fn write_profile(path: &std::path::Path, profile: &Profile) {
    if let Ok(text) = serde_json::to_vec(profile) {
        // only a convenience: the next one may succeed
        let _ = strife_certs::pem::write_secret(path, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_that_comes_back_is_told_as_such() {
        let movement = v1::Movement {
            minor_units: 1_250,
            currency: "EUR".into(),
            counterpart: "100000000190@Bank2".into(),
            kind: "transfer".into(),
            ..v1::Movement::default()
        };
        let told = |movement: &v1::Movement| money_came(movement).unwrap();
        assert_eq!(told(&movement), "12.50 EUR came in from 100000000190@Bank2");
        let refund = v1::Movement { refund_of: Some(v1::TransferKey::default()), ..movement.clone() };
        assert_eq!(told(&refund), "12.50 EUR came back from 100000000190@Bank2");
        assert_eq!(money_came(&v1::Movement { minor_units: -1, ..refund }), None);
        assert_eq!(money_came(&v1::Movement { kind: "cash".into(), ..movement }), None);
    }
}
