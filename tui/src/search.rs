//! Fuzzy search: payees as one types, commands of the palette. The matcher is nucleo's, which editors use.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::commands::{Action, Command, Place, commands_of};
use crate::model::Model;

/// Payees that are suggested at a time.
pub const SUGGESTIONS_MAX: usize = 6;

/// A payee that one may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// `account@bank`.
    pub account: String,
    /// What the person calls them, or where they are known from.
    pub name: String,
}

/// Those whose text fits what is typed, best first; all, in their order, where nothing is typed.
fn best<T>(typed: &str, all: Vec<T>, text_of: impl Fn(&T) -> String) -> Vec<T> {
    if typed.trim().is_empty() {
        return all;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut letters = Vec::new();
    let mut found: Vec<(u32, T)> = all
        .into_iter()
        .filter_map(|one| {
            let text = text_of(&one);
            let score = pattern.score(Utf32Str::new(&text, &mut letters), &mut matcher)?;
            Some((score, one))
        })
        .collect();
    // stable: of equals the one before stays before
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, one)| one).collect()
}

/// Payees that fit what is typed: saved ones, one's own other accounts, and whom the history knows.
pub fn payees(model: &Model) -> Vec<Suggestion> {
    if model.transfer.refund.is_some() {
        return Vec::new();
    }
    let mut all: Vec<Suggestion> = Vec::new();
    let mut add = |account: &str, name: &str| {
        if !account.is_empty() && !all.iter().any(|one| one.account == account) {
            all.push(Suggestion { account: account.to_owned(), name: name.to_owned() });
        }
    };
    for payee in &model.payees {
        add(&payee.account, &payee.name);
    }
    if let Some(profile) = &model.view.profile {
        for (place, account) in profile.accounts.iter().enumerate() {
            if place != model.transfer.from {
                add(&format!("{}@{}", account.number, profile.bank), &format!("{} (yours)", account.name));
            }
        }
    }
    for movement in model.history.rows.iter().filter(|movement| movement.counterpart.contains('@')) {
        add(&movement.counterpart, "");
    }
    let typed = model.transfer.to.value();
    let mut found = best(typed, all, |one| format!("{} {}", one.name, one.account));
    // what is typed in full needs no suggestion
    found.retain(|one| one.account != typed.trim());
    found.truncate(SUGGESTIONS_MAX);
    found
}

/// The commands that fit what is typed in the palette: those that work under it.
pub fn palette(model: &Model, typed: &str) -> Vec<Command> {
    let beneath = Place::beneath(model);
    let moves = [
        Action::Up,
        Action::Down,
        Action::Left,
        Action::Right,
        Action::PageUp,
        Action::PageDown,
        Action::NextField,
        Action::PreviousField,
        Action::Palette,
        Action::Submit,
    ];
    let mut all = commands_of(model, beneath);
    // from every screen with accounts one can go to every other
    if !matches!(beneath, Place::Login) {
        for command in commands_of(model, Place::Overview) {
            if !all.iter().any(|known| known.action == command.action) {
                all.push(command);
            }
        }
    }
    all.retain(|command| !moves.contains(&command.action));
    best(typed, all, |command| format!("{} {}", command.action.name(), command.help))
}
