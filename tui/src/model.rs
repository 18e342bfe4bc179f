//! All that the screen knows.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use strife_client::view::{NoticeKind, OrderView, View};
use strife_client::{Movement, Payment, TransferId};

use crate::demo::ProcessState;
use crate::forms::{LoginForm, TransferForm};
use crate::theme::Theme;

/// How long a toast stays that is not bad news.
const TOAST_MS: u64 = 6_000;
/// Toasts shown at a time.
const TOASTS_MAX: usize = 3;

/// What fills the main area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Signing in.
    Login,
    /// Accounts and last movements.
    Home,
    /// Making a transfer.
    Transfer,
    /// All postings of an account.
    History,
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
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// All keys.
    Help,
    /// A payment, with the focus on Cancel at first.
    Confirm {
        /// What is to be sent.
        payment: Payment,
        /// The focus is on Send.
        send: bool,
    },
    /// What has become of an order.
    Receipt(TransferId),
    /// One movement of the history.
    Movement(usize),
    /// The demo's processes, with the chosen one.
    Demo(usize),
}

/// An account's history, as far as it is loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Which account.
    pub account: String,
    /// Newest first.
    pub rows: Vec<Movement>,
    /// Where the next page begins; `None` when all is loaded.
    pub cursor: Option<Vec<u8>>,
    /// A page is on its way.
    pub loading: bool,
    /// What went wrong.
    pub error: Option<String>,
    /// The chosen row.
    pub chosen: usize,
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

/// The demo's processes, and what each does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demo {
    /// By name.
    pub processes: Vec<(String, ProcessState)>,
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
    /// How things look.
    pub theme: Theme,
    /// For times of day.
    pub zone: TimeZone,
    /// Now.
    pub now: Instant,
    /// The program is to end.
    pub quit: bool,
}

impl Model {
    /// A screen that begins at the log-in.
    pub fn new(
        view: View,
        demo_sentence: Option<String>,
        theme: Theme,
        zone: TimeZone,
        now: Instant,
    ) -> Self {
        let mut model = Self {
            view: view.clone(),
            screen: Screen::Login,
            focus: Focus::Main,
            overlay: None,
            login: LoginForm::default(),
            transfer: TransferForm::default(),
            history: History::default(),
            account: 0,
            order: 0,
            hidden: false,
            working_offline: false,
            editing: None,
            toasts: Vec::new(),
            notice_seen: 0,
            demo_sentence,
            demo: None,
            theme,
            zone,
            now,
            quit: false,
        };
        model.take_view(view);
        model
    }

    /// Takes up what the client knows now.
    pub fn take_view(&mut self, view: View) {
        for notice in &view.notices {
            if notice.number > self.notice_seen {
                self.notice_seen = notice.number;
                self.toast(notice.kind, notice.text.clone());
            }
        }
        self.view = view;
        self.order = self.order.min(self.view.orders.len().saturating_sub(1));
        let accounts = self.view.profile.as_ref().map_or(0, |profile| profile.accounts.len());
        self.account = self.account.min(accounts.saturating_sub(1));
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

    /// Moves on to a moment: toasts whose time is over go away. Tells whether one did.
    pub fn tick(&mut self, now: Instant) -> bool {
        self.now = now;
        let before = self.toasts.len();
        self.toasts.retain(|toast| toast.until.is_none_or(|until| until > now));
        before != self.toasts.len()
    }

    /// Something on the screen counts down.
    pub fn counts_down(&self) -> bool {
        let reconnecting =
            matches!(self.view.connection, strife_client::view::Connection::Reconnecting { .. });
        reconnecting
            || self.view.orders.iter().any(|order| order.next_try.is_some())
            || self.toasts.iter().any(|toast| toast.until.is_some())
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
}
