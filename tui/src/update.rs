//! The one function that changes the model. No I/O, no await: what is to be done comes back as effects.

use std::time::Instant;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use strife_client::view::{CANCELLED, Connection, NoticeKind, OrderState, View};
use strife_client::{BankName, Movement, Payment, TransferId};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;
use zeroize::Zeroizing;

use crate::commands::{Action, action};
use crate::forms::{LoginField, LoginForm, TransferField, TransferForm, bank_at, insert};
use crate::model::{Demo, Focus, History, Model, Overlay, Screen};

/// Rows that a page key moves by.
const PAGE_ROWS: usize = 10;

/// What comes in.
#[derive(Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// The client knows something new.
    View(Box<View>),
    /// Time passes.
    Tick(Instant),
    /// The log-in was answered.
    SignedIn(Result<(), String>),
    /// The payment is queued on the disk, or is not.
    Queued(Result<TransferId, String>),
    /// A cancel was taken up, or cannot be.
    Cancelled(TransferId, Result<(), String>),
    /// A page of history.
    Page {
        /// Of which account.
        account: String,
        /// It is the newest page.
        first: bool,
        /// Rows and where the next page begins.
        result: Result<(Vec<Movement>, Option<Vec<u8>>), String>,
    },
    /// The demo's processes.
    Demo(Demo),
    /// A process was killed or started, or could not be.
    DemoDone(Result<String, String>),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Sign in.
    LogIn {
        /// Where.
        bank: BankName,
        /// Who.
        person: String,
        /// With what.
        password: Zeroizing<String>,
    },
    /// Sign out.
    LogOut,
    /// Queue a payment.
    Pay(Payment),
    /// Load a page of history.
    LoadHistory {
        /// Of which account.
        account: String,
        /// From where; `None` for the newest page.
        cursor: Option<Vec<u8>>,
    },
    /// Send one order, or all, now.
    Retry(Option<TransferId>),
    /// Cancel an order.
    Cancel(TransferId),
    /// Send an ended order's bytes again.
    SendAgain(TransferId),
    /// Take an ended order off the queue.
    Dismiss(TransferId),
    /// Take all ended orders off the queue.
    DismissEnded,
    /// Go offline, or back.
    SetOffline(bool),
    /// Kill a process of the demo, or start it.
    DemoToggle {
        /// Which.
        name: String,
        /// It runs now.
        running: bool,
    },
}

/// Changes the model, and says what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(event) => match action(model, event) {
            Some(action) => act(model, action),
            None => {
                type_key(model, event);
                Vec::new()
            }
        },
        Msg::Paste(text) => {
            paste(model, &text);
            Vec::new()
        }
        Msg::View(view) => take_view(model, *view),
        Msg::Tick(now) => {
            model.tick(now);
            Vec::new()
        }
        Msg::SignedIn(result) => {
            model.login.busy = false;
            match result {
                Ok(()) => {
                    model.login = LoginForm { bank: model.login.bank, ..LoginForm::default() };
                    model.working_offline = false;
                    model.screen = Screen::Home;
                    model.account = 0;
                    model.history = History::default();
                }
                Err(why) => {
                    model.login.password = Zeroizing::new(String::new());
                    model.login.error = Some(why);
                }
            }
            Vec::new()
        }
        Msg::Queued(Ok(id)) => {
            model.transfer = TransferForm { from: model.transfer.from, ..TransferForm::default() };
            model.screen = Screen::Home;
            model.order = 0;
            model.overlay = Some(Overlay::Receipt(id));
            Vec::new()
        }
        Msg::Queued(Err(why)) => {
            model.toast(NoticeKind::Bad, format!("Nothing was queued: {why}"));
            Vec::new()
        }
        Msg::Cancelled(id, result) => {
            if let Err(why) = result {
                model.editing = model.editing.filter(|editing| *editing != id);
                model.toast(NoticeKind::Bad, why);
            }
            Vec::new()
        }
        Msg::Page { account, first, result } => {
            take_page(model, &account, first, result);
            Vec::new()
        }
        Msg::Demo(demo) => {
            model.demo = Some(demo);
            Vec::new()
        }
        Msg::DemoDone(Ok(text)) => {
            model.toast(NoticeKind::Info, text);
            Vec::new()
        }
        Msg::DemoDone(Err(text)) => {
            model.toast(NoticeKind::Bad, text);
            Vec::new()
        }
    }
}

fn take_view(model: &mut Model, view: View) -> Vec<Effect> {
    let was_signed_in = model.view.signed_in;
    let moved = view.movements_seen != model.view.movements_seen || (view.live && !model.view.live);
    model.take_view(view);
    if was_signed_in && !model.view.signed_in && !model.working_offline && model.screen != Screen::Login {
        // the session ended; work goes on from the queue and the last known balances
        model.working_offline = true;
    }
    finish_edit(model);
    if moved && model.view.signed_in && model.screen != Screen::Login {
        return reload_history(model);
    }
    Vec::new()
}

/// Once an order that is edited has ended as cancelled, its content is filled into the form.
fn finish_edit(model: &mut Model) {
    let Some(order) = model.editing.and_then(|id| model.order_by_id(id)).cloned() else { return };
    match order.state {
        OrderState::Withdrawn | OrderState::Declined { code: CANCELLED, .. } => {
            let accounts = model.view.profile.as_ref().map(|profile| profile.accounts.as_slice());
            let from = accounts.unwrap_or_default().iter().position(|account| account.number == order.from);
            let currency = order.amount.currency();
            model.transfer = TransferForm {
                from: from.unwrap_or(0),
                to: Input::new(order.to.to_string()),
                amount: Input::new(currency.format(order.amount.minor_units())),
                memo: Input::new(order.memo),
                ..TransferForm::default()
            };
            model.editing = None;
            model.screen = Screen::Transfer;
            model.focus = Focus::Main;
        }
        state if state.is_ended() => {
            model.editing = None;
            model.toast(
                NoticeKind::Info,
                "It was decided before it could be cancelled; there is nothing to edit.",
            );
        }
        _ => {}
    }
}

fn reload_history(model: &mut Model) -> Vec<Effect> {
    let Some(account) = model.account_number() else { return Vec::new() };
    if model.history.account != account {
        model.history = History { account: account.clone(), ..History::default() };
    }
    model.history.loading = true;
    vec![Effect::LoadHistory { account, cursor: None }]
}

type Page = Result<(Vec<Movement>, Option<Vec<u8>>), String>;

fn take_page(model: &mut Model, account: &str, first: bool, result: Page) {
    let history = &mut model.history;
    if history.account != account {
        return;
    }
    history.loading = false;
    match result {
        Ok((rows, cursor)) => {
            history.error = None;
            if first {
                history.rows = rows;
            } else {
                history.rows.extend(rows);
            }
            history.cursor = cursor;
            history.chosen = history.chosen.min(history.rows.len().saturating_sub(1));
        }
        Err(why) => history.error = Some(why),
    }
}

/// A key that is no command is text, where text is taken.
fn type_key(model: &mut Model, event: KeyEvent) {
    if model.overlay.is_some() || model.focus == Focus::Queue {
        return;
    }
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match model.screen {
        Screen::Login if !model.login.busy => {
            model.login.error = None;
            if model.login.field == LoginField::Bank && plain && matches!(event.code, KeyCode::Char(_)) {
                // one who types means the name
                model.login.field = LoginField::Person;
            }
            match (model.login.field, event.code) {
                (LoginField::Password, KeyCode::Char(c)) if plain => model.login.push_password(c),
                (LoginField::Password, KeyCode::Backspace) => {
                    model.login.password.pop();
                }
                (LoginField::Person, _) => edit(&mut model.login.person, event),
                _ => {}
            }
        }
        Screen::Transfer => {
            if let Some(input) = model.transfer.input() {
                edit(input, event);
            } else if matches!(event.code, KeyCode::Left | KeyCode::Right) {
                choose_from(model, event.code == KeyCode::Right);
            }
        }
        Screen::Login | Screen::Home | Screen::History => {}
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

fn paste(model: &mut Model, text: &str) {
    if model.overlay.is_some() || model.focus == Focus::Queue {
        return;
    }
    match (model.screen, model.login.field) {
        (Screen::Login, LoginField::Person) => insert(&mut model.login.person, text),
        (Screen::Login, LoginField::Password) => {
            text.chars().take(200).for_each(|c| model.login.push_password(c));
        }
        (Screen::Transfer, _) => {
            if let Some(input) = model.transfer.input() {
                insert(input, text);
            }
        }
        _ => {}
    }
}

fn choose_from(model: &mut Model, forward: bool) {
    let count = model.view.profile.as_ref().map_or(0, |profile| profile.accounts.len());
    model.transfer.from = step(model.transfer.from, count, forward);
}

fn step(at: usize, count: usize, forward: bool) -> usize {
    if count == 0 { 0 } else { (at + if forward { 1 } else { count - 1 }) % count }
}

fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.overlay.is_some() {
        return act_on_overlay(model, action);
    }
    match action {
        Action::Quit => model.quit = true,
        Action::Help => model.overlay = Some(Overlay::Help),
        Action::DemoMenu => {
            let processes = model.demo.as_ref().map(|demo| demo.processes.as_slice()).unwrap_or_default();
            let gateway = processes.iter().position(|(name, _)| name.starts_with("gateway"));
            model.overlay = Some(Overlay::Demo(gateway.unwrap_or(0)));
        }
        Action::ToQueue => model.focus = Focus::Queue,
        Action::HideBalances => model.hidden = !model.hidden,
        Action::ClearToasts => model.toasts.clear(),
        Action::ToggleOffline => {
            return vec![Effect::SetOffline(model.view.connection != Connection::Offline)];
        }
        Action::LogOut => {
            model.screen = Screen::Login;
            model.working_offline = false;
            model.history = History::default();
            if let Some(profile) = &model.view.profile {
                model.login.person = Input::new(profile.person.clone());
                model.login.field = LoginField::Password;
                let place = model.view.banks.iter().position(|(name, _)| *name == profile.bank);
                model.login.bank = place.unwrap_or(model.login.bank);
            }
            return vec![Effect::LogOut];
        }
        Action::WorkOffline => {
            if model.view.profile.is_some() {
                model.working_offline = true;
                model.screen = Screen::Home;
            } else {
                model.login.error =
                    Some("Nobody has signed in here yet; the first time needs the network.".into());
            }
        }
        Action::ToTransfer => {
            model.screen = Screen::Transfer;
            model.transfer.from = model.account;
            model.transfer.field = TransferField::To;
        }
        Action::ToHistory => {
            model.screen = Screen::History;
            model.history.chosen = 0;
            return reload_history(model);
        }
        _ if model.focus == Focus::Queue => return act_on_queue(model, action),
        _ => match model.screen {
            Screen::Login => return act_on_login(model, action),
            Screen::Home => act_on_home(model, action),
            Screen::Transfer => act_on_transfer(model, action),
            Screen::History => return act_on_history(model, action),
        },
    }
    if matches!(action, Action::Up | Action::Down) && model.screen == Screen::Home {
        return reload_history(model);
    }
    Vec::new()
}

fn act_on_login(model: &mut Model, action: Action) -> Vec<Effect> {
    let fields = [LoginField::Bank, LoginField::Person, LoginField::Password];
    let at = fields.iter().position(|field| *field == model.login.field).unwrap_or(0);
    match action {
        Action::NextField => model.login.field = fields[step(at, fields.len(), true)],
        Action::PreviousField => model.login.field = fields[step(at, fields.len(), false)],
        Action::Left | Action::Right if model.login.field == LoginField::Bank => {
            model.login.bank = step(model.login.bank, model.view.banks.len(), action == Action::Right);
        }
        Action::Left | Action::Right if model.login.field == LoginField::Person => {
            let code = if action == Action::Left { KeyCode::Left } else { KeyCode::Right };
            edit(&mut model.login.person, KeyEvent::new(code, KeyModifiers::NONE));
        }
        Action::Submit if model.login.field != LoginField::Password => {
            model.login.field = fields[step(at, fields.len(), true)];
        }
        Action::Submit if !model.login.busy => {
            let Some(bank) = bank_at(&model.view, model.login.bank) else {
                model.login.error = Some("The gateway has not told its banks yet.".into());
                return Vec::new();
            };
            let person = model.login.person.value().trim().to_owned();
            if person.is_empty() || model.login.password.is_empty() {
                model.login.error = Some("Please type a name and a password.".into());
                return Vec::new();
            }
            model.login.busy = true;
            model.login.error = None;
            let password = std::mem::replace(&mut model.login.password, Zeroizing::new(String::new()));
            return vec![Effect::LogIn { bank, person, password }];
        }
        _ => {}
    }
    Vec::new()
}

fn act_on_home(model: &mut Model, action: Action) {
    let count = model.view.profile.as_ref().map_or(0, |profile| profile.accounts.len());
    match action {
        Action::Up => model.account = model.account.saturating_sub(1),
        Action::Down => model.account = (model.account + 1).min(count.saturating_sub(1)),
        _ => {}
    }
}

fn act_on_transfer(model: &mut Model, action: Action) {
    match action {
        Action::NextField => model.transfer.field = model.transfer.field.step(true),
        Action::PreviousField => model.transfer.field = model.transfer.field.step(false),
        Action::Back => model.screen = Screen::Home,
        Action::Submit if model.transfer.field != TransferField::Memo => {
            model.transfer.field = model.transfer.field.step(true);
        }
        Action::Submit => {
            model.transfer.tried = true;
            match model.transfer.payment(&model.view) {
                Ok(payment) => model.overlay = Some(Overlay::Confirm { payment, send: false }),
                Err(refusal) => model.toast(NoticeKind::Info, refusal.sentence()),
            }
        }
        _ => {}
    }
}

fn act_on_history(model: &mut Model, action: Action) -> Vec<Effect> {
    let last = model.history.rows.len().saturating_sub(1);
    let chosen = model.history.chosen;
    match action {
        Action::Up => model.history.chosen = chosen.saturating_sub(1),
        Action::Down => model.history.chosen = (chosen + 1).min(last),
        Action::PageUp => model.history.chosen = chosen.saturating_sub(PAGE_ROWS),
        Action::PageDown => model.history.chosen = (chosen + PAGE_ROWS).min(last),
        Action::Back => model.screen = Screen::Home,
        Action::Submit if !model.history.rows.is_empty() => {
            model.overlay = Some(Overlay::Movement(chosen));
        }
        Action::Left | Action::Right => {
            let count = model.view.profile.as_ref().map_or(0, |profile| profile.accounts.len());
            model.account = step(model.account, count, action == Action::Right);
            return reload_history(model);
        }
        _ => {}
    }
    let near_end = model.history.chosen + PAGE_ROWS >= model.history.rows.len();
    match (&model.history.cursor, near_end, model.history.loading) {
        (Some(cursor), true, false) => {
            let effect =
                Effect::LoadHistory { account: model.history.account.clone(), cursor: Some(cursor.clone()) };
            model.history.loading = true;
            vec![effect]
        }
        _ => Vec::new(),
    }
}

fn act_on_queue(model: &mut Model, action: Action) -> Vec<Effect> {
    let count = model.view.orders.len();
    let chosen = model.chosen_order().map(|order| (order.id, order.state.clone()));
    match (action, chosen) {
        (Action::Up, _) => model.order = model.order.saturating_sub(1),
        (Action::Down, _) => model.order = (model.order + 1).min(count.saturating_sub(1)),
        (Action::Back, _) => model.focus = Focus::Main,
        (Action::RetryAll, _) => return vec![Effect::Retry(None)],
        (Action::DismissEnded, _) => return vec![Effect::DismissEnded],
        (Action::Retry, Some((id, _))) => return vec![Effect::Retry(Some(id))],
        (Action::ShowOrder, Some((id, _))) => model.overlay = Some(Overlay::Receipt(id)),
        (Action::CancelOrder, Some((id, state))) if !state.is_ended() => return vec![Effect::Cancel(id)],
        (Action::EditOrder, Some((id, state))) if !state.is_ended() => {
            model.editing = Some(id);
            return vec![Effect::Cancel(id)];
        }
        (Action::Dismiss, Some((id, state))) if state.is_ended() => return vec![Effect::Dismiss(id)],
        (Action::SendAgain, Some((id, state))) if state.is_ended() => return vec![Effect::SendAgain(id)],
        (Action::CancelOrder | Action::EditOrder, Some(_)) => {
            model.toast(NoticeKind::Info, "This order has ended; there is nothing to cancel.");
        }
        (Action::Dismiss | Action::SendAgain, Some(_)) => {
            model.toast(NoticeKind::Info, "That works on orders that have ended.");
        }
        _ => {}
    }
    Vec::new()
}

fn act_on_overlay(model: &mut Model, action: Action) -> Vec<Effect> {
    let processes = model.demo.as_ref().map(|demo| demo.processes.clone()).unwrap_or_default();
    match (&mut model.overlay, action) {
        (_, Action::Close) => model.overlay = None,
        (Some(Overlay::Confirm { send, .. }), Action::Left) => *send = false,
        (Some(Overlay::Confirm { send, .. }), Action::Right) => *send = true,
        (Some(Overlay::Confirm { send, .. }), Action::NextField) => *send = !*send,
        (Some(Overlay::Confirm { payment, send }), Action::Submit) => {
            let effects = if *send { vec![Effect::Pay(payment.clone())] } else { Vec::new() };
            model.overlay = None;
            return effects;
        }
        (Some(Overlay::Demo(at)), Action::Up) => *at = at.saturating_sub(1),
        (Some(Overlay::Demo(at)), Action::Down) => *at = (*at + 1).min(processes.len().saturating_sub(1)),
        (Some(Overlay::Demo(at)), Action::DemoToggle) => {
            if let Some((name, state)) = processes.get(*at).cloned() {
                let running = state.is_up();
                return vec![Effect::DemoToggle { name, running }];
            }
        }
        _ => {}
    }
    Vec::new()
}
