//! All that the screen knows.

mod history;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use strife_client::payees::Payee;
use strife_client::view::{Notice, NoticeKind, OrderView, View};
use strife_client::{Key, Life, Movement, Payment, TransferId};
use tui_input::Input;

pub use history::{History, Sort, is_same};

use crate::commands::Action;
use crate::demo::ProcessState;
use crate::forms::{LoginForm, TransferForm};
use crate::keys::Keymap;
use crate::preferences::Preferences;
use crate::theme::Theme;

/// How long a toast stays that is not bad news.
const TOAST_MS: u64 = 6_000;
/// Toasts shown at a time.
const TOASTS_MAX: usize = 3;
/// How long a balance is marked that has changed.
const FLASH_MS: u64 = 2_500;
/// Items that the inbox keeps; the oldest goes first.
const INBOX_MAX: usize = 200;

/// What fills the main area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Signing in.
    Login,
    /// Accounts, balances, last movements.
    Overview,
    /// Making a transfer.
    Transfer,
    /// All postings of an account.
    History,
    /// What has arrived.
    Inbox,
    /// Looks, manners, where secrets are kept.
    Settings,
}

/// Where the keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The main area.
    Main,
    /// The queue.
    Queue,
}

/// What lies over everything.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, from a row on.
    Help {
        /// First row shown.
        from: usize,
    },
    /// A payment, with the focus on Cancel at first.
    Confirm {
        /// What is to be sent.
        payment: Payment,
        /// The focus is on Send.
        send: bool,
        /// From when on Send can be chosen: a held key, which repeats, never gets there.
        armed_at: Instant,
    },
    /// What has become of an order.
    Receipt(TransferId),
    /// One movement.
    Movement(Box<Movement>),
    /// One item of the inbox, whole.
    Notice(Box<Notice>),
    /// Every command that can be done here, by name.
    Palette {
        /// What is typed.
        text: Input,
        /// The chosen one of those found.
        chosen: usize,
    },
    /// A name for a payee.
    PayeeName {
        /// Whose.
        account: String,
        /// The name.
        name: Input,
    },
    /// The demo's processes, with the chosen one.
    Demo(usize),
}

/// A short message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// How it is shown.
    pub kind: NoticeKind,
    /// What it says.
    pub text: String,
    /// When it goes away by itself; bad news stays.
    pub until: Option<Instant>,
}

/// The demo's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demo {
    /// By name.
    pub processes: Vec<(String, ProcessState)>,
}

/// A balance that has just changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flash {
    /// By how much, in minor units.
    pub minor_units: i64,
    /// Marked until then.
    pub until: Instant,
}

/// What the bank tells of a transfer's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It is being asked.
    Asking,
    /// It has said.
    Life(Box<Life>),
    /// It cannot be asked, or does not say; in words.
    Not(String),
}

/// All that the screen knows.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the client knows.
    pub view: View,
    /// What fills the main area.
    pub screen: Screen,
    /// Where the keys go.
    pub focus: Focus,
    /// What lies over everything.
    pub overlay: Option<Overlay>,
    /// The log-in form.
    pub login: LoginForm,
    /// The transfer form.
    pub transfer: TransferForm,
    /// The history of the chosen account.
    pub history: History,
    /// The chosen account.
    pub account: usize,
    /// The chosen order in the queue.
    pub order: usize,
    /// The chosen item of the inbox.
    pub item: usize,
    /// Everything that was told, newest first.
    pub inbox: Vec<Notice>,
    /// How many items have come since the inbox was last open.
    pub unread: usize,
    /// The chosen row of the settings.
    pub setting: usize,
    /// Saved payees, newest first.
    pub payees: Vec<Payee>,
    /// The transfer whose life is shown, and what the bank tells of it.
    pub life: Option<(Key, Told)>,
    /// Balances that have just changed, by account number.
    pub flashes: BTreeMap<String, Flash>,
    /// Balances are not shown.
    pub hidden: bool,
    /// The person works without a session.
    pub working_offline: bool,
    /// An order that is being edited: cancelled first, then filled in.
    pub editing: Option<TransferId>,
    /// Short messages, newest last.
    pub toasts: Vec<Toast>,
    /// The last notice of the client that was taken up.
    pub notice_seen: u64,
    /// For a rehearsal: its sentence, and its processes where this program runs them.
    pub demo_sentence: Option<String>,
    /// The demo's processes.
    pub demo: Option<Demo>,
    /// What the person has set.
    pub preferences: Preferences,
    /// How things look, from the preferences.
    pub theme: Theme,
    /// Which keys do what, from the preferences.
    pub keymap: Keymap,
    /// The client's other settings, in words, for the settings screen.
    pub facts: Vec<(String, String)>,
    /// Counts sign-ins and sign-outs: a reply of a session that is over is dropped.
    pub epoch: u64,
    /// When the last key came.
    pub touched: Instant,
    /// The same by the wall clock, in milliseconds: it goes on while the machine sleeps.
    pub touched_ms: i64,
    /// Now by the wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// The first row that is shown of details which do not fit.
    pub details_from: usize,
    /// The terminal has the focus, as far as it tells.
    pub has_focus: bool,
    /// The terminal's columns and rows.
    pub size: (u16, u16),
    /// For times of day.
    pub zone: TimeZone,
    /// Now.
    pub now: Instant,
    /// The program is to end.
    pub quit: bool,
}

impl Model {
    /// A screen that begins at the log-in, or at the accounts where a session was resumed.
    pub fn new(
        view: View,
        demo_sentence: Option<String>,
        preferences: Preferences,
        zone: TimeZone,
        now: Instant,
    ) -> Self {
        let mut model = Self {
            screen: if view.signed_in { Screen::Overview } else { Screen::Login },
            view: view.clone(),
            focus: Focus::Main,
            overlay: None,
            login: LoginForm::default(),
            transfer: TransferForm::default(),
            history: History::default(),
            account: 0,
            order: 0,
            item: 0,
            inbox: Vec::new(),
            unread: 0,
            setting: 0,
            payees: Vec::new(),
            life: None,
            flashes: BTreeMap::new(),
            hidden: preferences.settings.hide_balances,
            working_offline: false,
            editing: None,
            toasts: Vec::new(),
            notice_seen: 0,
            demo_sentence,
            demo: None,
            theme: preferences.theme(),
            keymap: preferences.keymap(),
            preferences,
            facts: Vec::new(),
            epoch: 0,
            touched: now,
            touched_ms: 0,
            wall_ms: 0,
            details_from: 0,
            has_focus: true,
            size: (0, 0),
            zone,
            now,
            quit: false,
        };
        model.take_view(view);
        model
    }

    /// Nothing of the person who was here stays: not on the screen, not in a form, not in a list.
    pub fn forget_person(&mut self) {
        self.overlay = None;
        self.transfer = TransferForm::default();
        self.history = History::default();
        self.life = None;
        self.flashes.clear();
        self.editing = None;
        self.inbox.clear();
        self.toasts.clear();
        self.payees.clear();
        self.hidden = self.preferences.settings.hide_balances;
        (self.account, self.order, self.item, self.unread, self.setting) = (0, 0, 0, 0, 0);
        self.working_offline = false;
    }

    /// The terminal is too small to show anything: nothing is done then that cannot be seen.
    pub fn is_too_small(&self) -> bool {
        self.size != (0, 0) && (self.size.0 < crate::view::WIDTH_MIN || self.size.1 < crate::view::HEIGHT_MIN)
    }

    /// No key came for so long, awake or asleep, that the person is signed out.
    pub fn is_idle_too_long(&self) -> bool {
        let Some(at) = self.locks_at() else { return false };
        let idle_ms = i64::try_from(self.preferences.settings.idle_lock_ms).unwrap_or(i64::MAX);
        at <= self.now || self.wall_ms.saturating_sub(self.touched_ms) >= idle_ms
    }

    /// Takes up what the client knows now. Returns what has newly happened.
    pub fn take_view(&mut self, view: View) -> Vec<Notice> {
        let news: Vec<Notice> =
            view.notices.iter().filter(|notice| notice.number > self.notice_seen).cloned().collect();
        for notice in &news {
            self.notice_seen = notice.number;
            self.toast(notice.kind, notice.text.clone());
            self.inbox.insert(0, notice.clone());
            if self.screen == Screen::Inbox {
                self.item = if self.item == 0 { 0 } else { self.item + 1 };
            } else {
                self.unread += 1;
            }
        }
        self.inbox.truncate(INBOX_MAX);
        self.mark_changes(&view);
        self.view = view;
        self.order = self.order.min(self.view.orders.len().saturating_sub(1));
        self.item = self.item.min(self.inbox.len().saturating_sub(1));
        self.account = self.account.min(self.account_count().saturating_sub(1));
        news
    }

    /// Marks the balances that differ from what is shown, unless they are of another person or newly known.
    fn mark_changes(&mut self, view: &View) {
        let (Some(before), Some(after)) = (&self.view.profile, &view.profile) else { return };
        let same = before.person == after.person && before.bank == after.bank;
        if !same || !self.view.signed_in || before.as_of_ms == 0 {
            return;
        }
        let until = self.now + Duration::from_millis(FLASH_MS);
        for account in &after.accounts {
            let was = before.accounts.iter().find(|one| one.number == account.number);
            let minor_units = was.map_or(0, |was| account.posted.saturating_sub(was.posted));
            if minor_units != 0 {
                self.flashes.insert(account.number.clone(), Flash { minor_units, until });
            }
        }
    }

    /// Says something short.
    pub fn toast(&mut self, kind: NoticeKind, text: impl Into<String>) {
        let text = text.into();
        // said again, it is said once
        self.toasts.retain(|toast| toast.text != text);
        let until = (kind != NoticeKind::Bad).then(|| self.now + Duration::from_millis(TOAST_MS));
        self.toasts.push(Toast { kind, text, until });
        let over = self.toasts.len().saturating_sub(TOASTS_MAX);
        self.toasts.drain(..over);
    }

    /// How many accounts are known.
    pub fn account_count(&self) -> usize {
        self.view.profile.as_ref().map_or(0, |profile| profile.accounts.len())
    }

    /// Balances are hidden, or not known: they are not kept after signing out.
    pub fn hides_balances(&self) -> bool {
        self.hidden || self.view.profile.as_ref().is_some_and(|profile| profile.as_of_ms == 0)
    }

    /// Whether a payment would go at this moment: a session, a connection, and the payer's own bank behind it.
    pub fn goes_now(&self) -> bool {
        self.view.connection.is_online() && self.view.signed_in && !self.own_bank_is_away()
    }

    /// The gateway answers and says that the person's bank does not.
    pub fn own_bank_is_away(&self) -> bool {
        let own = self.view.profile.as_ref().map(|profile| profile.bank.as_str());
        self.view.banks.iter().any(|(name, reachable)| Some(name.as_str()) == own && !reachable)
    }

    /// When the person is signed out because no key came; `None` if that is off or nobody is signed in.
    pub fn locks_at(&self) -> Option<Instant> {
        let idle_ms = self.preferences.settings.idle_lock_ms;
        (idle_ms > 0 && self.view.signed_in).then(|| self.touched + Duration::from_millis(idle_ms))
    }

    /// Moves on to a moment: what is over goes away.
    pub fn tick(&mut self, now: Instant) {
        self.now = now;
        self.toasts.retain(|toast| toast.until.is_none_or(|until| until > now));
        self.flashes.retain(|_, flash| flash.until > now);
    }

    /// When the screen changes by itself next: a countdown's next second, the end of a message or mark. `None`
    /// if it stands still until something comes in.
    pub fn changes_at(&self) -> Option<Instant> {
        let second = |at: Instant| {
            let left = at.checked_duration_since(self.now)?;
            let millis = u64::from(left.subsec_millis());
            Some(self.now + Duration::from_millis(if millis == 0 { 1_000 } else { millis }))
        };
        let reconnecting = match self.view.connection {
            strife_client::view::Connection::Reconnecting { next_try, .. } => second(next_try),
            _ => None,
        };
        let tries = self.view.orders.iter().filter_map(|order| order.next_try).filter_map(second);
        let toasts = self.toasts.iter().filter_map(|toast| toast.until);
        let flashes = self.flashes.values().map(|flash| flash.until);
        let over = match &self.overlay {
            Some(Overlay::Confirm { armed_at, .. }) if *armed_at > self.now => Some(*armed_at),
            Some(Overlay::Demo(_)) => Some(self.now + Duration::from_secs(1)),
            _ => None,
        };
        let all = tries.chain(toasts).chain(flashes).chain(reconnecting).chain(over).chain(self.locks_at());
        all.min()
    }

    /// Where things are, in words: what the client tells, then what the settings say.
    pub fn all_facts(&self) -> Vec<(String, String)> {
        let view = &self.view;
        let session = match (view.signed_in, view.kept) {
            (true, true) => format!("kept in {}", view.session_place),
            (true, false) => "not kept; you will be asked again".to_owned(),
            (false, _) => format!("none; one would be kept in {}", view.session_place),
        };
        let mut facts = vec![
            ("Network".to_owned(), view.network.clone()),
            ("Gateway now".to_owned(), view.gateway.clone()),
            ("Session".to_owned(), session),
            ("This device's key".to_owned(), view.key_place.clone()),
        ];
        facts.extend(self.facts.iter().cloned());
        let own = &self.preferences.settings.keys;
        if own.is_empty() {
            facts.push(("Keys".into(), "as shipped; bind others under [screen.keys]".into()));
        }
        facts.extend(own.iter().map(|(name, keys)| (format!("Key of {name}"), keys.join(", "))));
        facts
    }

    /// The number of the chosen account.
    pub fn account_number(&self) -> Option<String> {
        Some(self.view.profile.as_ref()?.accounts.get(self.account)?.number.clone())
    }

    /// The chosen order.
    pub fn chosen_order(&self) -> Option<&OrderView> {
        self.view.orders.get(self.order)
    }

    /// An order by its id.
    pub fn order_by_id(&self, id: TransferId) -> Option<&OrderView> {
        self.view.orders.iter().find(|order| order.id == id)
    }

    /// How a command's key is shown, wherever it is first found among those that work now.
    pub fn shown_key(&self, action: Action) -> Option<String> {
        let commands = crate::commands::commands(self);
        let command = commands.iter().find(|command| command.action == action)?;
        Some(self.keymap.shown(command))
    }
}
