//! Typing: into the log-in, the transfer, the filter, the palette.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use strife_client::view::NoticeKind;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;
use zeroize::Zeroizing;

use super::{Effect, arming, history, home, overlay, step};
use crate::commands::Action;
use crate::forms::{Check, LoginField, TransferField, TransferForm, bank_at, insert};
use crate::model::{Focus, Model, Overlay, Screen};
use crate::search;

const LOGIN_FIELDS: [LoginField; 3] = [LoginField::Bank, LoginField::Person, LoginField::Password];

/// A key that is no command is text, where text is taken.
pub(super) fn type_key(model: &mut Model, event: KeyEvent) -> Vec<Effect> {
    match &mut model.overlay {
        Some(Overlay::Palette { text, chosen }) => {
            edit(text, event);
            *chosen = 0;
            return Vec::new();
        }
        Some(Overlay::PayeeName { name, .. }) => {
            edit(name, event);
            return Vec::new();
        }
        Some(_) => return Vec::new(),
        None if model.focus == Focus::Queue => return Vec::new(),
        None => {}
    }
    match model.screen {
        Screen::Login if !model.login.busy => type_login(model, event),
        Screen::Transfer => type_transfer(model, event),
        Screen::History if model.history.filtering => {
            edit(&mut model.history.filter, event);
            return history::filtered(model);
        }
        _ => {}
    }
    Vec::new()
}

fn type_login(model: &mut Model, event: KeyEvent) {
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    model.login.error = None;
    if model.login.field == LoginField::Bank && plain && matches!(event.code, KeyCode::Char(_)) {
        // one who types means the name
        model.login.field = LoginField::Person;
    }
    match (model.login.field, event.code) {
        (LoginField::Password, KeyCode::Char(c)) if plain => model.login.push_password(c),
        (LoginField::Password, KeyCode::Char('u')) if event.modifiers == KeyModifiers::CONTROL => {
            model.login.password = Zeroizing::new(String::new());
        }
        (LoginField::Password, KeyCode::Backspace) => {
            model.login.password.pop();
        }
        (LoginField::Person, _) => edit(&mut model.login.person, event),
        _ => {}
    }
}

fn type_transfer(model: &mut Model, event: KeyEvent) {
    if let Some(input) = model.transfer.input() {
        edit(input, event);
        model.transfer.suggestion = None;
    } else if model.transfer.field == TransferField::From
        && model.transfer.refund.is_none()
        && matches!(event.code, KeyCode::Left | KeyCode::Right)
    {
        model.transfer.from = step(model.transfer.from, model.account_count(), event.code == KeyCode::Right);
    }
}

fn edit(input: &mut Input, event: KeyEvent) {
    match event.code {
        KeyCode::Char(c) if event.modifiers.difference(KeyModifiers::SHIFT).is_empty() => {
            insert(input, c.encode_utf8(&mut [0; 4]));
        }
        _ => {
            input.handle_event(&Event::Key(event));
        }
    }
}

/// Pasted text does what the same text typed would do.
pub(super) fn paste(model: &mut Model, text: &str) -> Vec<Effect> {
    match &mut model.overlay {
        Some(Overlay::Palette { text: input, chosen }) => {
            insert(input, text);
            *chosen = 0;
            return Vec::new();
        }
        Some(Overlay::PayeeName { name, .. }) => {
            insert(name, text);
            return Vec::new();
        }
        Some(_) => return Vec::new(),
        None if model.focus == Focus::Queue => return Vec::new(),
        None => {}
    }
    match (model.screen, model.login.field) {
        (Screen::Login, _) if model.login.busy => {}
        (Screen::Login, LoginField::Person) => insert(&mut model.login.person, text),
        (Screen::Login, LoginField::Password) => {
            // a password that was copied with its line's end has it not
            text.chars().take(200).for_each(|c| model.login.push_password(c));
        }
        (Screen::Transfer, _) => {
            if let Some(input) = model.transfer.input() {
                insert(input, text);
                model.transfer.suggestion = None;
            }
        }
        (Screen::History, _) if model.history.filtering => {
            insert(&mut model.history.filter, text);
            return history::filtered(model);
        }
        _ => {}
    }
    Vec::new()
}

pub(super) fn act_on_login(model: &mut Model, action: Action) -> Vec<Effect> {
    let at = LOGIN_FIELDS.iter().position(|field| *field == model.login.field).unwrap_or(0);
    match action {
        Action::NextField => model.login.field = LOGIN_FIELDS[step(at, LOGIN_FIELDS.len(), true)],
        Action::PreviousField => model.login.field = LOGIN_FIELDS[step(at, LOGIN_FIELDS.len(), false)],
        Action::Keep => model.login.keep = !model.login.keep,
        // in an empty name there is nothing to move in: the key does what the bar says
        Action::Left | Action::Right
            if model.login.field == LoginField::Bank
                || (model.login.field == LoginField::Person && model.login.person.value().is_empty()) =>
        {
            model.login.bank = step(model.login.bank, model.view.banks.len(), action == Action::Right);
        }
        Action::Left | Action::Right if model.login.field == LoginField::Person => {
            let code = if action == Action::Left { KeyCode::Left } else { KeyCode::Right };
            edit(&mut model.login.person, KeyEvent::new(code, KeyModifiers::NONE));
        }
        Action::Submit if model.login.field != LoginField::Password => {
            model.login.field = LOGIN_FIELDS[step(at, LOGIN_FIELDS.len(), true)];
        }
        Action::Submit if !model.login.busy => return submit_login(model),
        _ => {}
    }
    Vec::new()
}

fn submit_login(model: &mut Model) -> Vec<Effect> {
    let Some(bank) = bank_at(&model.view, model.login.bank) else {
        model.login.error = Some("The gateway has not told its banks yet.".into());
        return Vec::new();
    };
    let person = model.login.person.value().trim().to_owned();
    if person.is_empty() || model.login.password.is_empty() {
        model.login.error = Some("Please type a name and a password.".into());
        return Vec::new();
    }
    model.epoch += 1;
    model.login.busy = true;
    model.login.error = None;
    let password = std::mem::replace(&mut model.login.password, Zeroizing::new(String::new()));
    vec![Effect::LogIn { bank, person, password, keep: model.login.keep }]
}

pub(super) fn act_on_transfer(model: &mut Model, action: Action) -> Vec<Effect> {
    let in_payee = model.transfer.field == TransferField::To;
    let suggested = if in_payee { search::payees(model) } else { Vec::new() };
    let form = &mut model.transfer;
    match action {
        Action::Down if !suggested.is_empty() => {
            form.suggestion = Some(form.suggestion.map_or(0, |at| step(at, suggested.len(), true)));
        }
        Action::Up if !suggested.is_empty() && form.suggestion.is_some() => {
            form.suggestion = form.suggestion.and_then(|at| at.checked_sub(1));
        }
        Action::NextField | Action::Down | Action::Submit if in_payee && form.suggestion.is_some() => {
            if let Some(taken) = form.suggestion.and_then(|at| suggested.get(at)) {
                form.to = Input::new(taken.account.clone());
            }
            form.suggestion = None;
            form.field = form.field.step(true);
        }
        Action::NextField | Action::Down => form.field = form.field.step(true),
        Action::PreviousField | Action::Up => form.field = form.field.step(false),
        Action::Back => {
            // what was filled in for a refund is not offered as an ordinary payment
            if form.refund.is_some() {
                *form = TransferForm { from: form.from, ..TransferForm::default() };
            }
            model.screen = home(model);
        }
        Action::SavePayee => match model.transfer.payee(&model.view) {
            Ok(payee) => overlay::name_payee(model, payee.to_string()),
            Err(_) => model.toast(NoticeKind::Info, "Type the payee first, as in user2@Bank2."),
        },
        Action::Submit if form.field != TransferField::Memo => form.field = form.field.step(true),
        Action::Submit => review(model),
        _ => {}
    }
    Vec::new()
}

/// Asks whether the payment is right, if everything in it is.
fn review(model: &mut Model) {
    model.transfer.tried = true;
    if let Check::Bad(why) = model.transfer.check(TransferField::Amount, &model.view, model.hides_balances())
    {
        model.transfer.field = TransferField::Amount;
        model.toast(NoticeKind::Info, why);
        return;
    }
    match model.transfer.payment(&model.view) {
        Ok(payment) => {
            let armed_at = arming(model.now);
            overlay::open(model, Overlay::Confirm { payment, send: false, armed_at });
        }
        Err(refusal) => model.toast(NoticeKind::Info, refusal.sentence()),
    }
}
