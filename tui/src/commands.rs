//! Every key, in one list for each place: the bottom bar, the help and the key map are drawn from it, so they
//! cannot drift.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::{Focus, Model, Overlay, Screen};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is explained by its command's help
pub enum Action {
    Quit,
    Help,
    Close,
    Back,
    Up,
    Down,
    PageUp,
    PageDown,
    Left,
    Right,
    NextField,
    PreviousField,
    Submit,
    ToTransfer,
    ToHistory,
    ToQueue,
    HideBalances,
    ToggleOffline,
    WorkOffline,
    LogOut,
    DemoMenu,
    DemoToggle,
    Retry,
    RetryAll,
    CancelOrder,
    EditOrder,
    SendAgain,
    Dismiss,
    DismissEnded,
    ShowOrder,
    ClearToasts,
}

/// One key and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The keys that do it.
    pub keys: &'static [(KeyCode, KeyModifiers)],
    /// How the key is shown.
    pub shown: &'static str,
    /// What the bottom bar calls it; empty if it does not stand there.
    pub label: &'static str,
    /// What the help says.
    pub help: &'static str,
    /// What it does.
    pub action: Action,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const fn key(code: KeyCode) -> (KeyCode, KeyModifiers) {
    (code, NONE)
}

const fn letter(c: char) -> (KeyCode, KeyModifiers) {
    (KeyCode::Char(c), NONE)
}

const fn ctrl(c: char) -> (KeyCode, KeyModifiers) {
    (KeyCode::Char(c), CTRL)
}

macro_rules! command {
    ([$($key:expr),+], $shown:literal, $label:literal, $help:literal, $action:ident) => {
        Command { keys: &[$($key),+], shown: $shown, label: $label, help: $help, action: Action::$action }
    };
}

const UP: Command = command!([key(KeyCode::Up), letter('k')], "↑", "", "One up", Up);
const DOWN: Command = command!([key(KeyCode::Down), letter('j')], "↓", "", "One down", Down);
const HELP: Command = command!([letter('?'), key(KeyCode::F(1))], "?", "help", "All keys", Help);
const QUIT: Command = command!([letter('q'), ctrl('c')], "q", "quit", "Leave; the queue is kept", Quit);
const TO_QUEUE: Command = command!([key(KeyCode::Tab)], "Tab", "queue", "Go to the queue", ToQueue);
const OFFLINE: Command = command!([letter('o')], "o", "offline", "Go offline, or back online", ToggleOffline);
const CLEAR: Command = command!([letter('z')], "z", "", "Put away the messages at the bottom", ClearToasts);
/// Where the demo's processes are reached; stands wherever there is a demo.
pub const DEMO: Command = command!(
    [key(KeyCode::F(9)), letter('d')],
    "F9",
    "demo",
    "Kill and start the demo's processes",
    DemoMenu
);

const LOGIN: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "sign in", "Next field; sign in from the last", Submit),
    command!([key(KeyCode::Tab), key(KeyCode::Down)], "Tab", "next", "Next field", NextField),
    command!(
        [key(KeyCode::BackTab), (KeyCode::BackTab, SHIFT), key(KeyCode::Up)],
        "Shift-Tab",
        "",
        "Field before",
        PreviousField
    ),
    command!([key(KeyCode::Left)], "←", "", "Bank before", Left),
    command!([key(KeyCode::Right)], "→", "bank", "Next bank", Right),
    command!([ctrl('o')], "Ctrl-O", "", "Work offline as the person who was here last", WorkOffline),
    command!([key(KeyCode::F(1))], "F1", "help", "All keys", Help),
    command!([ctrl('c'), key(KeyCode::Esc)], "Esc", "quit", "Leave; the queue is kept", Quit),
];

const LOGIN_DEMO: Command =
    command!([key(KeyCode::F(9))], "F9", "demo", "Kill and start the demo's processes", DemoMenu);

const HOME: &[Command] = &[
    command!([letter('t'), key(KeyCode::F(2))], "t", "pay", "Make a transfer", ToTransfer),
    command!(
        [letter('h'), key(KeyCode::Enter)],
        "h",
        "history",
        "All postings of the chosen account",
        ToHistory
    ),
    TO_QUEUE,
    UP,
    DOWN,
    command!([letter('b')], "b", "hide", "Hide the balances, or show them", HideBalances),
    OFFLINE,
    command!([letter('l')], "l", "sign out", "Sign out; the queue is kept", LogOut),
    CLEAR,
    HELP,
    QUIT,
];

const TRANSFER: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "review", "Next field; review from the last", Submit),
    command!([key(KeyCode::Tab), key(KeyCode::Down)], "Tab", "next", "Next field", NextField),
    command!(
        [key(KeyCode::BackTab), (KeyCode::BackTab, SHIFT), key(KeyCode::Up)],
        "Shift-Tab",
        "",
        "Field before",
        PreviousField
    ),
    command!([key(KeyCode::F(1))], "F1", "help", "All keys", Help),
    command!([key(KeyCode::Esc)], "Esc", "back", "Back to the accounts", Back),
    command!([ctrl('c')], "Ctrl-C", "", "Leave; the queue is kept", Quit),
];

const HISTORY: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "details", "All about the chosen movement", Submit),
    UP,
    DOWN,
    command!([key(KeyCode::PageUp)], "PgUp", "", "One page up", PageUp),
    command!(
        [key(KeyCode::PageDown), letter(' ')],
        "PgDn",
        "page",
        "One page down; more is loaded at the end",
        PageDown
    ),
    command!([key(KeyCode::Left)], "←", "", "Account before", Left),
    command!([key(KeyCode::Right)], "→", "account", "Next account", Right),
    TO_QUEUE,
    command!([key(KeyCode::Esc), letter('h')], "Esc", "back", "Back to the accounts", Back),
    CLEAR,
    HELP,
    QUIT,
];

const QUEUE: &[Command] = &[
    command!([letter('r')], "r", "retry", "Send the chosen order now", Retry),
    command!([letter('R'), (KeyCode::Char('R'), SHIFT)], "R", "all", "Send all orders now", RetryAll),
    command!([letter('c')], "c", "cancel", "Cancel the chosen order", CancelOrder),
    command!([letter('e')], "e", "edit", "Cancel the chosen order, then fill it in again", EditOrder),
    command!(
        [letter('s')],
        "s",
        "again",
        "Drill: send an ended order again with the same id; nothing moves twice",
        SendAgain
    ),
    command!([letter('x')], "x", "dismiss", "Take an ended order off the queue", Dismiss),
    command!(
        [letter('X'), (KeyCode::Char('X'), SHIFT)],
        "X",
        "",
        "Take all ended orders off the queue",
        DismissEnded
    ),
    command!([key(KeyCode::Enter)], "Enter", "details", "All about the chosen order", ShowOrder),
    UP,
    DOWN,
    command!([key(KeyCode::Tab), key(KeyCode::Esc)], "Tab", "back", "Back to the main area", Back),
    OFFLINE,
    CLEAR,
    HELP,
    QUIT,
];

const CONFIRM: &[Command] = &[
    command!([key(KeyCode::Enter)], "Enter", "choose", "Do what is marked", Submit),
    command!([key(KeyCode::Left), letter('h')], "←", "", "Mark Cancel", Left),
    command!([key(KeyCode::Right), letter('l')], "→", "mark Send", "Mark Send", Right),
    command!([key(KeyCode::Tab), key(KeyCode::BackTab)], "Tab", "", "Mark the other", NextField),
    command!([key(KeyCode::Esc), letter('q')], "Esc", "cancel", "Send nothing", Close),
];

const MENU: &[Command] = &[
    command!(
        [key(KeyCode::Enter), letter(' ')],
        "Enter",
        "kill / start",
        "Kill the chosen process, or start it again",
        DemoToggle
    ),
    UP,
    DOWN,
    command!(
        [key(KeyCode::Esc), key(KeyCode::F(9)), letter('d'), letter('q')],
        "Esc",
        "close",
        "Close",
        Close
    ),
];

const CLOSE: &[Command] = &[command!(
    [key(KeyCode::Esc), key(KeyCode::Enter), letter('q'), letter('?'), key(KeyCode::F(1))],
    "Esc",
    "close",
    "Close",
    Close
)];

/// The keys that work at this moment.
pub fn commands(model: &Model) -> Vec<Command> {
    let list = match (&model.overlay, model.focus, model.screen) {
        (Some(Overlay::Confirm { .. }), _, _) => CONFIRM,
        (Some(Overlay::Demo(_)), _, _) => MENU,
        (Some(_), _, _) => CLOSE,
        (None, Focus::Queue, _) => QUEUE,
        (None, Focus::Main, Screen::Login) => LOGIN,
        (None, Focus::Main, Screen::Home) => HOME,
        (None, Focus::Main, Screen::Transfer) => TRANSFER,
        (None, Focus::Main, Screen::History) => HISTORY,
    };
    let mut list = list.to_vec();
    if model.overlay.is_none() && model.demo.is_some() {
        match (model.focus, model.screen) {
            (Focus::Main, Screen::Login | Screen::Transfer) => list.push(LOGIN_DEMO),
            _ => list.insert(list.len() - 2, DEMO),
        }
    }
    list
}

/// What a key does at this moment.
pub fn action(model: &Model, event: KeyEvent) -> Option<Action> {
    let matches = |(code, modifiers): &(KeyCode, KeyModifiers)| {
        let modifiers_fit = match code {
            // terminals differ in whether a capital letter comes with Shift
            KeyCode::Char(_) => event.modifiers.difference(SHIFT) == modifiers.difference(SHIFT),
            _ => event.modifiers == *modifiers,
        };
        *code == event.code && modifiers_fit
    };
    commands(model).iter().find(|command| command.keys.iter().any(matches)).map(|command| command.action)
}

/// The places whose keys the help lists.
pub const PLACES: &[(&str, &[Command])] = &[
    ("Accounts", HOME),
    ("Transfer", TRANSFER),
    ("Confirmation", CONFIRM),
    ("History", HISTORY),
    ("Queue", QUEUE),
    ("Signing in", LOGIN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (place, list) in PLACES.iter().chain(&[("Demo", MENU), ("Close", CLOSE)]) {
            let mut keys: Vec<_> = list.iter().flat_map(|command| command.keys).collect();
            let count = keys.len();
            keys.sort_by_key(|key| format!("{key:?}"));
            keys.dedup();
            assert_eq!(keys.len(), count, "{place}");
            assert!(list.iter().all(|command| !command.help.is_empty()), "{place}");
        }
    }
}
