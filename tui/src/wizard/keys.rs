//! The one list of keys, from which the key map and the bottom bar come.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, Step};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Check this screen and go on; on the last one, press the button.
    Next,
    /// A step back.
    Back,
    /// To another field or button; `true` is forward.
    Move(bool),
    /// The person has compared the fingerprint.
    Compared,
    /// Leave without writing.
    Leave,
}

/// A key, how it is shown, and what it does here.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As on the bottom bar.
    pub shown: &'static str,
    /// What it does.
    pub label: &'static str,
    /// What it asks for.
    pub action: Action,
}

const fn key(shown: &'static str, label: &'static str, action: Action) -> Key {
    Key { shown, label, action }
}

/// The keys that do something at this moment.
pub fn keys(model: &Model) -> Vec<Key> {
    let mut keys = Vec::new();
    match model.step {
        Step::Summary => {
            keys.push(key("Enter", "press", Action::Next));
            keys.push(key("←→", "choose", Action::Move(true)));
        }
        _ if model.busy => {}
        Step::Folder if model.value(super::model::Field::Folder).is_empty() => {
            keys.push(key("Enter", "name each file", Action::Next));
        }
        _ => keys.push(key("Enter", "go on", Action::Next)),
    }
    if model.step == Step::Authority && model.fingerprint.is_some() && !model.busy {
        keys.push(key("Ctrl-Y", "same", Action::Compared));
    }
    if model.step.fields().len() > 1 {
        keys.push(key("Tab", "next", Action::Move(true)));
    }
    if model.step != Step::Gateway {
        keys.push(key("Esc", "back", Action::Back));
    }
    keys.push(key("Ctrl-C", "leave", Action::Leave));
    keys
}

/// What a pressed key asks for, if it is one of those that do something; otherwise it is text.
pub fn action(model: &Model, event: KeyEvent) -> Option<Action> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let summary = model.step == Step::Summary;
    let wanted = match event.code {
        KeyCode::Char('c') if control => Action::Leave,
        KeyCode::Char('y') if control => Action::Compared,
        KeyCode::Enter => Action::Next,
        KeyCode::Esc => Action::Back,
        KeyCode::Tab | KeyCode::Down => Action::Move(true),
        KeyCode::BackTab | KeyCode::Up => Action::Move(false),
        KeyCode::Right | KeyCode::Char('l') if summary => Action::Move(true),
        KeyCode::Left | KeyCode::Char('h') if summary => Action::Move(false),
        _ => return None,
    };
    let same = |key: &Key| match (key.action, wanted) {
        (Action::Move(_), Action::Move(_)) => true,
        (listed, wanted) => listed == wanted,
    };
    keys(model).iter().any(same).then_some(wanted)
}
