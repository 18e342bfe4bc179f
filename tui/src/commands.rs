//! Every command, in one list for each place: the bottom bar, the help, the palette and the key map are drawn
//! from it, so they cannot drift.

use crossterm::event::{KeyCode, KeyEvent};

use crate::keys::Key;
use crate::model::{Focus, Model, Overlay, Screen};

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal),+ $(,)?) => {
        /// What a key does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // each is explained by its command's help
        pub enum Action { $($(#[$doc])* $action),+ }

        impl Action {
            /// The name under which settings bind keys to it.
            pub fn name(self) -> &'static str {
                match self { $(Action::$action => $name),+ }
            }

            /// The action of a name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Action::$action),)+ _ => None }
            }
        }
    };
}

actions! {
    Quit = "quit", Help = "help", Palette = "palette", Close = "close", Back = "back", Suspend = "suspend",
    Up = "up", Down = "down", PageUp = "page-up", PageDown = "page-down", Top = "top", Bottom = "bottom",
    Left = "left", Right = "right", NextField = "next-field", PreviousField = "previous-field",
    Submit = "submit", ToTransfer = "pay", ToHistory = "history", ToInbox = "inbox", ToSettings = "settings",
    ToQueue = "queue", HideBalances = "hide", ToggleOffline = "offline", WorkOffline = "work-offline",
    Keep = "keep-signed-in", LogOut = "sign-out", DemoMenu = "demo", DemoToggle = "demo-kill-or-start",
    DemoFreeze = "demo-freeze-or-thaw", DemoCutOff = "demo-cut-off-or-reconnect",
    DemoRestart = "demo-restart", Retry = "retry", RetryAll = "retry-all", CancelOrder = "cancel-order",
    EditOrder = "edit-order", SendAgain = "send-again", Dismiss = "dismiss", DismissEnded = "dismiss-ended",
    ShowOrder = "show-order", ClearToasts = "clear-messages", Filter = "filter", Sort = "sort",
    Refund = "refund", Export = "export", CopyId = "copy-id", SavePayee = "save-payee",
}

/// One command of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The keys that do it.
    pub keys: &'static [Key],
    /// How the first key is shown.
    pub shown: &'static str,
    /// What the bottom bar calls it; empty if it does not stand there.
    pub label: &'static str,
    /// What the help says.
    pub help: &'static str,
    /// What it does.
    pub action: Action,
}

/// Where the keys go: one list of commands for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Signing in.
    Login,
    /// Accounts, balances, last movements.
    Overview,
    /// Making a transfer.
    Transfer,
    /// All postings of an account.
    History,
    /// Typing the history's filter.
    Filter,
    /// What has arrived.
    Inbox,
    /// Looks and manners.
    Settings,
    /// The offline queue.
    Queue,
    /// Asked whether a payment is right.
    Confirm,
    /// One order of the queue.
    Order,
    /// One movement.
    Movement,
    /// One item of the inbox.
    Notice,
    /// Naming a payee.
    PayeeName,
    /// All commands, by name.
    Palette,
    /// All keys.
    Help,
    /// The demo's processes.
    Demo,
}

impl Place {
    /// All.
    pub const ALL: [Place; 16] = [
        Place::Overview,
        Place::Transfer,
        Place::Confirm,
        Place::History,
        Place::Filter,
        Place::Movement,
        Place::Queue,
        Place::Order,
        Place::Inbox,
        Place::Notice,
        Place::Settings,
        Place::Login,
        Place::Palette,
        Place::PayeeName,
        Place::Demo,
        Place::Help,
    ];

    /// What the help calls it.
    pub fn name(self) -> &'static str {
        match self {
            Place::Login => "Signing in",
            Place::Overview => "Accounts",
            Place::Transfer => "Transfer",
            Place::History => "History",
            Place::Filter => "Filter",
            Place::Inbox => "Inbox",
            Place::Settings => "Settings",
            Place::Queue => "Queue",
            Place::Confirm => "Confirmation",
            Place::Order => "Order",
            Place::Movement => "Movement",
            Place::Notice => "Notice",
            Place::PayeeName => "Payee's name",
            Place::Palette => "Palette",
            Place::Help => "All keys",
            Place::Demo => "Demo",
        }
    }

    /// Its commands.
    pub fn commands(self) -> &'static [Command] {
        match self {
            Place::Login => LOGIN,
            Place::Overview => OVERVIEW,
            Place::Transfer => TRANSFER,
            Place::History => HISTORY,
            Place::Filter => FILTER,
            Place::Inbox => INBOX,
            Place::Settings => SETTINGS,
            Place::Queue => QUEUE,
            Place::Confirm => CONFIRM,
            Place::Order => ORDER,
            Place::Movement => MOVEMENT,
            Place::Notice => NOTICE,
            Place::PayeeName => PAYEE_NAME,
            Place::Palette => PALETTE_OPEN,
            Place::Help => CLOSE,
            Place::Demo => DEMO_OPEN,
        }
    }

    /// Letters are text here.
    pub fn takes_text(self) -> bool {
        matches!(self, Place::Login | Place::Transfer | Place::Filter | Place::PayeeName | Place::Palette)
    }

    /// The place whose keys work now.
    pub fn of(model: &Model) -> Self {
        match &model.overlay {
            Some(Overlay::Confirm { .. }) => Place::Confirm,
            Some(Overlay::Demo(_)) => Place::Demo,
            Some(Overlay::Help { .. }) => Place::Help,
            Some(Overlay::Receipt(_)) => Place::Order,
            Some(Overlay::Movement(_)) => Place::Movement,
            Some(Overlay::Notice(_)) => Place::Notice,
            Some(Overlay::Palette { .. }) => Place::Palette,
            Some(Overlay::PayeeName { .. }) => Place::PayeeName,
            None => Self::beneath(model),
        }
    }

    /// The place that lies under whatever is open over it.
    pub fn beneath(model: &Model) -> Self {
        match (model.focus, model.screen) {
            (Focus::Queue, _) => Place::Queue,
            (Focus::Main, Screen::Login) => Place::Login,
            (Focus::Main, Screen::Overview) => Place::Overview,
            (Focus::Main, Screen::Transfer) => Place::Transfer,
            (Focus::Main, Screen::History) if model.history.filtering => Place::Filter,
            (Focus::Main, Screen::History) => Place::History,
            (Focus::Main, Screen::Inbox) => Place::Inbox,
            (Focus::Main, Screen::Settings) => Place::Settings,
        }
    }
}

const fn key(code: KeyCode) -> Key {
    Key::plain(code)
}

const fn letter(c: char) -> Key {
    Key::letter(c)
}

const fn ctrl(c: char) -> Key {
    Key::ctrl(c)
}

const fn f(number: u8) -> Key {
    Key::plain(KeyCode::F(number))
}

macro_rules! command {
    ([$($key:expr),+], $shown:literal, $label:literal, $help:literal, $action:ident) => {
        Command { keys: &[$($key),+], shown: $shown, label: $label, help: $help, action: Action::$action }
    };
}

const UP: Command = command!([key(KeyCode::Up), letter('k')], "↑", "", "One up", Up);
const DOWN: Command = command!([key(KeyCode::Down), letter('j')], "↓", "", "One down", Down);
const PAGE_UP: Command = command!([key(KeyCode::PageUp), ctrl('u')], "PgUp", "", "One page up", PageUp);
const PAGE_DOWN: Command = command!(
    [key(KeyCode::PageDown), ctrl('d'), letter(' ')],
    "PgDn",
    "page",
    "One page down; more is loaded at the end",
    PageDown
);
const TOP: Command = command!([key(KeyCode::Home), letter('g')], "Home", "", "To the first", Top);
const BOTTOM: Command = command!([key(KeyCode::End), letter('G')], "End", "", "To the last", Bottom);
const HELP: Command = command!([letter('?'), f(1)], "?", "help", "All keys", Help);
const PALETTE: Command = command!([letter(':'), ctrl('p')], ":", "all", "Every command, by name", Palette);
const SUSPEND: Command = command!([ctrl('z')], "Ctrl-Z", "", "Back to the shell; fg returns", Suspend);
const LEAVE: Command = command!([ctrl('c')], "Ctrl-C", "", "Leave; the queue is kept", Quit);
const SHUT: Command =
    command!([key(KeyCode::Esc), key(KeyCode::Enter), letter('q')], "Esc", "close", "Close", Close);
const SCROLL: Command =
    command!([key(KeyCode::PageDown), letter(' ')], "PgDn", "more", "The rows below", PageDown);
const TEXT_CLEAR: Command =
    command!([ctrl('l')], "Ctrl-L", "", "Put away the messages at the bottom", ClearToasts);
const QUIT: Command = command!([letter('q'), ctrl('c')], "q", "quit", "Leave; the queue is kept", Quit);
const TO_QUEUE: Command = command!([key(KeyCode::Tab)], "Tab", "queue", "Go to the queue", ToQueue);
const OFFLINE: Command = command!([letter('o')], "o", "offline", "Go offline, or back online", ToggleOffline);
const CLEAR: Command = command!([letter('z')], "z", "", "Put away the messages at the bottom", ClearToasts);
const HIDE: Command = command!([letter('b')], "b", "hide", "Hide the balances, or show them", HideBalances);
const TO_INBOX: Command = command!([letter('i')], "i", "inbox", "What has arrived", ToInbox);
const TO_SETTINGS: Command =
    command!([letter(',')], ",", "settings", "Looks, keys, manners; where secrets are kept", ToSettings);
const BACK: Command = command!([key(KeyCode::Esc)], "Esc", "back", "Back to the accounts", Back);
const COPY: Command = command!([letter('y')], "y", "copy id", "Copy the transfer's id", CopyId);
const TEXT_HELP: Command = command!([f(1)], "F1", "help", "All keys", Help);
const TEXT_PALETTE: Command = command!([ctrl('p')], "Ctrl-P", "", "Every command, by name", Palette);

/// Where the demo's processes are reached; stands wherever there is a demo.
pub const DEMO: Command =
    command!([f(9), letter('d')], "F9", "demo", "Kill, freeze and cut off the demo's processes", DemoMenu);

/// The same where letters are text.
const TEXT_DEMO: Command =
    command!([f(9)], "F9", "demo", "Kill, freeze and cut off the demo's processes", DemoMenu);

const LOGIN: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "sign in", "Next field; sign in from the last", Submit),
    command!([key(KeyCode::Tab), key(KeyCode::Down)], "Tab", "next", "Next field", NextField),
    command!([key(KeyCode::BackTab), key(KeyCode::Up)], "Shift-Tab", "", "Field before", PreviousField),
    command!([key(KeyCode::Left)], "←", "", "Bank before", Left),
    command!([key(KeyCode::Right)], "→", "bank", "Next bank", Right),
    command!([ctrl('k')], "Ctrl-K", "keep", "Stay signed in on this machine, or not", Keep),
    command!([ctrl('o')], "Ctrl-O", "", "Work offline as the person who was here last", WorkOffline),
    TEXT_CLEAR,
    TEXT_HELP,
    TEXT_PALETTE,
    SUSPEND,
    command!([key(KeyCode::Esc), ctrl('c')], "Esc", "quit", "Leave; the queue is kept", Quit),
];

const OVERVIEW: &[Command] = &[
    command!([letter('t'), f(2)], "t", "pay", "Make a transfer", ToTransfer),
    command!(
        [letter('h'), key(KeyCode::Enter)],
        "h",
        "history",
        "All postings of the chosen account",
        ToHistory
    ),
    TO_INBOX,
    TO_QUEUE,
    UP,
    DOWN,
    HIDE,
    OFFLINE,
    TO_SETTINGS,
    command!([letter('l')], "l", "sign out", "Sign out; the queue is kept", LogOut),
    CLEAR,
    PALETTE,
    SUSPEND,
    HELP,
    QUIT,
];

const TRANSFER: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "review", "Next field; review from the last", Submit),
    command!([key(KeyCode::Tab)], "Tab", "next", "Next field", NextField),
    command!([key(KeyCode::BackTab)], "Shift-Tab", "", "Field before", PreviousField),
    command!([key(KeyCode::Up)], "↑", "", "Payee before in the list; field before elsewhere", Up),
    command!([key(KeyCode::Down)], "↓", "payees", "Next payee of the list; next field elsewhere", Down),
    command!([ctrl('s')], "Ctrl-S", "name", "Give the payee a name of yours", SavePayee),
    TEXT_CLEAR,
    TEXT_HELP,
    TEXT_PALETTE,
    SUSPEND,
    BACK,
    LEAVE,
];

const HISTORY: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "details", "All about the chosen movement", Submit),
    command!([letter('/')], "/", "filter", "Show only what has these letters", Filter),
    command!([letter('s')], "s", "sort", "Sort by time, amount or payee", Sort),
    command!([letter('r')], "r", "refund", "Give back what came in, all or part", Refund),
    command!([letter('x')], "x", "export", "Write all postings of the account as CSV", Export),
    UP,
    DOWN,
    PAGE_UP,
    PAGE_DOWN,
    TOP,
    BOTTOM,
    command!([key(KeyCode::Left)], "←", "", "Account before", Left),
    command!([key(KeyCode::Right)], "→", "account", "Next account", Right),
    COPY,
    TO_QUEUE,
    HIDE,
    command!([key(KeyCode::Esc), letter('h')], "Esc", "back", "Back to the accounts", Back),
    CLEAR,
    PALETTE,
    SUSPEND,
    HELP,
    QUIT,
];

const FILTER: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "apply", "Go to what is found", Submit),
    command!([key(KeyCode::Esc)], "Esc", "clear", "Show everything again", Back),
    TEXT_HELP,
    SUSPEND,
    LEAVE,
];

const INBOX: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "details", "The whole text", Submit),
    UP,
    DOWN,
    PAGE_UP,
    PAGE_DOWN,
    TO_QUEUE,
    command!([key(KeyCode::Esc), letter('i')], "Esc", "back", "Back to the accounts", Back),
    CLEAR,
    PALETTE,
    SUSPEND,
    HELP,
    QUIT,
];

const SETTINGS: &[Command] = &[
    command!(
        [key(KeyCode::Enter), key(KeyCode::Right)],
        "Enter",
        "change",
        "Next value; it is kept in the settings file",
        Submit
    ),
    command!([key(KeyCode::Left)], "←", "", "Value before", Left),
    UP,
    DOWN,
    PAGE_UP,
    PAGE_DOWN,
    TO_QUEUE,
    command!([key(KeyCode::Esc), letter(',')], "Esc", "back", "Back to where you were", Back),
    CLEAR,
    PALETTE,
    SUSPEND,
    HELP,
    QUIT,
];

const QUEUE: &[Command] = &[
    command!([letter('r')], "r", "retry", "Send the chosen order now", Retry),
    command!([letter('R')], "R", "all", "Send all orders now", RetryAll),
    command!([letter('c')], "c", "cancel", "Cancel the chosen order", CancelOrder),
    command!(
        [letter('e')],
        "e",
        "edit",
        "Cancel the chosen order, then fill it in again; a cancelled one is filled in at once",
        EditOrder
    ),
    command!(
        [letter('s')],
        "s",
        "again",
        "Drill: send an ended order again with the same id; nothing moves twice",
        SendAgain
    ),
    command!([letter('x')], "x", "dismiss", "Take an ended order off the queue", Dismiss),
    command!([letter('X')], "X", "", "Take all ended orders off the queue", DismissEnded),
    command!([key(KeyCode::Enter)], "Enter", "details", "All about the chosen order", ShowOrder),
    COPY,
    UP,
    DOWN,
    TOP,
    BOTTOM,
    command!([key(KeyCode::Tab), key(KeyCode::Esc)], "Tab", "back", "Back to the main area", Back),
    OFFLINE,
    CLEAR,
    PALETTE,
    SUSPEND,
    HELP,
    QUIT,
];

const CONFIRM: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "choose", "Do what is marked", Submit),
    command!([key(KeyCode::Left), letter('h')], "←", "", "Mark Cancel", Left),
    command!([key(KeyCode::Right), letter('l')], "→", "mark Send", "Mark Send", Right),
    command!([key(KeyCode::Tab), key(KeyCode::BackTab)], "Tab", "", "Mark the other", NextField),
    command!([key(KeyCode::Esc), letter('q'), ctrl('c')], "Esc", "cancel", "Send nothing", Close),
    SUSPEND,
];

const ORDER: &[Command] = &[COPY, UP, DOWN, PAGE_UP, SCROLL, SHUT, SUSPEND, LEAVE];

const NOTICE: &[Command] = &[PAGE_UP, SCROLL, SHUT, SUSPEND, LEAVE];

const MOVEMENT: &[Command] = &[
    command!([letter('r')], "r", "refund", "Give back what came in, all or part", Refund),
    COPY,
    UP,
    DOWN,
    PAGE_UP,
    SCROLL,
    SHUT,
    SUSPEND,
    LEAVE,
];

const PAYEE_NAME: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "save", "Save the name; an empty one takes it away", Submit),
    command!([key(KeyCode::Esc)], "Esc", "cancel", "Save nothing", Close),
    SUSPEND,
    LEAVE,
];

const PALETTE_OPEN: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "do it", "Do the chosen command", Submit),
    command!([key(KeyCode::Up)], "↑", "", "One up", Up),
    command!([key(KeyCode::Down), key(KeyCode::Tab)], "↓", "next", "One down", Down),
    command!([key(KeyCode::Esc), ctrl('p')], "Esc", "close", "Close", Close),
    SUSPEND,
    LEAVE,
];

const DEMO_OPEN: &[Command] = &[
    command!(
        [key(KeyCode::Enter), letter(' ')],
        "Enter",
        "kill / start",
        "Kill the chosen process, or start it again",
        DemoToggle
    ),
    command!([letter('f')], "f", "freeze", "Stop it in its tracks, or let it go on", DemoFreeze),
    command!([letter('c')], "c", "cut off", "Cut its connections, or join them again", DemoCutOff),
    command!([letter('r')], "r", "restart", "Kill it and start it again", DemoRestart),
    UP,
    DOWN,
    command!([key(KeyCode::Esc), f(9), letter('d'), letter('q')], "Esc", "close", "Close", Close),
    SUSPEND,
    LEAVE,
];

const CLOSE: &[Command] = &[
    UP,
    DOWN,
    PAGE_UP,
    PAGE_DOWN,
    command!(
        [key(KeyCode::Esc), key(KeyCode::Enter), letter('q'), letter('?'), f(1)],
        "Esc",
        "close",
        "Close",
        Close
    ),
    SUSPEND,
    LEAVE,
];

/// The commands of a place with the demo's.
pub fn with_demo(place: Place) -> Vec<Command> {
    let mut list = place.commands().to_vec();
    match place {
        Place::Login | Place::Transfer => list.push(TEXT_DEMO),
        Place::Overview | Place::History | Place::Inbox | Place::Settings | Place::Queue => {
            list.insert(list.len().saturating_sub(2), DEMO);
        }
        _ => {}
    }
    list
}

/// The commands of a place, with the demo's where there is one.
pub fn commands_of(model: &Model, place: Place) -> Vec<Command> {
    if model.demo.is_some() { with_demo(place) } else { place.commands().to_vec() }
}

/// The commands that work at this moment.
pub fn commands(model: &Model) -> Vec<Command> {
    commands_of(model, Place::of(model))
}

/// What a key does at this moment.
pub fn action(model: &Model, event: KeyEvent) -> Option<Action> {
    let key = Key::of(event);
    let does = |command: &Command| model.keymap.keys(command).contains(&key);
    commands(model).into_iter().find(does).map(|command| command.action)
}
