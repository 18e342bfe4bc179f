//! The one function that changes the model. No I/O, no await: what is to be done comes back as effects.

mod forms;
mod history;
mod overlay;
mod pointer;
mod queue;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::{KeyEvent, KeyEventKind, MouseEvent};
use strife_client::payees::Payee;
use strife_client::view::{CANCELLED, Connection, Notice, NoticeKind, OrderState, OrderView, View};
use strife_client::{BankName, Key, Life, Movement, Payment, TransferId};
use tui_input::Input;
use zeroize::Zeroizing;

use crate::commands::{Action, action};
use crate::demo::{Control, ProcessState};
use crate::forms::{LoginField, LoginForm, TransferField, TransferForm};
use crate::model::{Demo, Focus, Model, Overlay, Screen, Told};
use crate::preferences::{Preference, Value};

/// Rows that a page key moves by.
const PAGE_ROWS: usize = 10;
/// How long Send lies dead after a key, in milliseconds: longer than a held key takes to repeat.
const ARMING_MS: u64 = 600;

/// What comes in.
#[derive(Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// The mouse.
    Mouse(MouseEvent),
    /// The terminal has got, or lost, the focus.
    HasFocus(bool),
    /// The terminal has columns and rows.
    Size(u16, u16),
    /// The client knows something new.
    View(Box<View>),
    /// Time passes.
    Tick(Instant),
    /// An effect was carried out. One of a session that is over is dropped.
    Reply {
        /// The session's.
        epoch: u64,
        /// What came of it.
        reply: Reply,
    },
    /// Saved payees, as they are now.
    Payees(Vec<Payee>),
    /// The demo's processes.
    Demo(Demo),
    /// Something was done that no session matters to, or could not be; in words.
    Done(Result<String, String>),
    /// A task failed inside; in words.
    Failed(String),
}

/// What came of an effect.
#[derive(Debug)]
pub enum Reply {
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
        /// Where it begins; `None` for the newest page.
        from: Option<Vec<u8>>,
        /// Rows and where the next page begins.
        result: Page,
    },
    /// The life of a transfer.
    Life(Key, Result<Box<Life>, String>),
    /// The export was written, with the rows that it has, or could not be.
    Exported(Result<(PathBuf, usize), String>),
}

/// Rows of a page, and where the next one begins.
pub type Page = Result<(Vec<Movement>, Option<Vec<u8>>), String>;

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
        /// Stay signed in on this machine.
        keep: bool,
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
    /// Ask the bank for a transfer's life.
    LoadLife(Key),
    /// Write all postings of an account as CSV.
    Export {
        /// Which.
        account: String,
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
    /// Read the person's saved payees.
    LoadPayees,
    /// Remember a payee, with a name if one was given.
    SavePayee {
        /// `account@bank`.
        account: String,
        /// What the person calls them.
        name: Option<String>,
    },
    /// Put text into the terminal's clipboard (OSC 52).
    Copy(String),
    /// Keep a preference in the settings file.
    Keep {
        /// Its key under `[screen]`.
        key: &'static str,
        /// Its value.
        value: Value,
    },
    /// Take clicks and the wheel, or no more.
    Mouse(bool),
    /// Tell outside of this screen.
    Notify(String),
    /// Give the terminal back and stop until the shell continues this program.
    Suspend,
    /// See how the demo's processes are.
    LookAtDemo,
    /// Control a process of the demo.
    Demo(String, Control),
}

/// Changes the model, and says what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        // whoever comes back after a long while finds the screen locked, whatever they do first
        Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(_) if model.is_idle_too_long() => lock(model),
        Msg::Key(event) => {
            touch(model);
            overlay::rearm(model);
            match action(model, event) {
                // nothing is done that cannot be seen
                Some(action) if model.is_too_small() && !matches!(action, Action::Quit | Action::Suspend) => {
                    Vec::new()
                }
                Some(action) => act(model, action),
                None if model.is_too_small() => Vec::new(),
                None => forms::type_key(model, event),
            }
        }
        Msg::Paste(text) => {
            touch(model);
            if model.is_too_small() { Vec::new() } else { forms::paste(model, &text) }
        }
        Msg::Mouse(event) => {
            touch(model);
            pointer::point(model, event)
        }
        Msg::HasFocus(has_focus) => {
            model.has_focus = has_focus;
            Vec::new()
        }
        Msg::Size(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Msg::View(view) => take_view(model, *view),
        Msg::Tick(now) => {
            model.tick(now);
            let look = matches!(model.overlay, Some(Overlay::Demo(_)));
            match model.is_idle_too_long() {
                true => lock(model),
                // another terminal can change them too
                false if look => vec![Effect::LookAtDemo],
                false => Vec::new(),
            }
        }
        Msg::Reply { epoch, reply } if epoch == model.epoch => take_reply(model, reply),
        Msg::Reply { .. } => Vec::new(),
        Msg::Payees(payees) => {
            model.payees = payees;
            Vec::new()
        }
        Msg::Demo(demo) => {
            model.demo = Some(demo);
            Vec::new()
        }
        Msg::Done(Ok(text)) => {
            model.toast(NoticeKind::Info, text);
            Vec::new()
        }
        Msg::Done(Err(text)) => {
            model.toast(NoticeKind::Bad, text);
            Vec::new()
        }
        Msg::Failed(text) => {
            model.login.busy = false;
            (model.history.loading, model.history.loading_more) = (false, false);
            model.toast(NoticeKind::Bad, format!("Something failed inside; what is queued is safe. {text}"));
            Vec::new()
        }
    }
}

fn take_reply(model: &mut Model, reply: Reply) -> Vec<Effect> {
    match reply {
        Reply::SignedIn(result) => {
            model.login.busy = false;
            match result {
                Ok(()) => return begin_session(model),
                Err(why) => {
                    model.login.password = Zeroizing::new(String::new());
                    model.login.error = Some(why);
                }
            }
        }
        Reply::Queued(Ok(id)) => {
            let mut effects = remember_payee(model);
            model.transfer = TransferForm { from: model.transfer.from, ..TransferForm::default() };
            model.screen = Screen::Overview;
            model.order = 0;
            // it may have ended before this answer came
            effects.extend(overlay::open_order(model, id));
            return effects;
        }
        Reply::Queued(Err(why)) => model.toast(NoticeKind::Bad, format!("Nothing was queued: {why}")),
        Reply::Cancelled(id, Err(why)) => {
            model.editing = model.editing.filter(|editing| *editing != id);
            model.toast(NoticeKind::Bad, why);
        }
        Reply::Cancelled(_, Ok(())) => {}
        Reply::Page { account, from, result } => return history::take_page(model, &account, from, result),
        Reply::Life(key, told) => {
            if let (Some(refund), Ok(life)) = (&mut model.transfer.refund, &told)
                && refund.of == key
            {
                refund.at_most = life.refundable;
                model.transfer.to = Input::new(life.from.to_string());
            }
            if let Some((asked, shown)) = &mut model.life
                && *asked == key
            {
                *shown = match told {
                    Ok(life) => Told::Life(life),
                    Err(why) => Told::Not(why),
                };
            }
        }
        Reply::Exported(Ok((path, rows))) => {
            let text = format!("{rows} postings are in {}", path.display());
            model.toast(NoticeKind::Good, text);
        }
        Reply::Exported(Err(why)) => model.toast(NoticeKind::Bad, format!("Nothing was exported: {why}")),
    }
    Vec::new()
}

fn begin_session(model: &mut Model) -> Vec<Effect> {
    let (bank, keep) = (model.login.bank, model.login.keep);
    model.forget_person();
    model.login = LoginForm { bank, keep, ..LoginForm::default() };
    show(model, Screen::Overview);
    touch(model);
    let mut effects = vec![Effect::LoadPayees];
    effects.extend(history::reload(model));
    effects
}

/// A key has come.
fn touch(model: &mut Model) {
    model.touched = model.now;
    model.touched_ms = model.wall_ms;
}

/// No key came for long.
fn lock(model: &mut Model) -> Vec<Effect> {
    let effects = sign_out(model);
    model.toast(NoticeKind::Bad, "Signed out, since no key came for a while. The queue is kept.");
    effects
}

/// Whom one has paid, one may pay again.
fn remember_payee(model: &Model) -> Vec<Effect> {
    match model.transfer.payee(&model.view) {
        Ok(payee) if model.transfer.refund.is_none() => {
            vec![Effect::SavePayee { account: payee.to_string(), name: None }]
        }
        _ => Vec::new(),
    }
}

fn take_view(model: &mut Model, view: View) -> Vec<Effect> {
    let was_signed_in = model.view.signed_in;
    let moved = view.movements_seen != model.view.movements_seen || (view.live && !model.view.live);
    let ended: Vec<TransferId> = view
        .orders
        .iter()
        .filter(|order| order.state.is_ended())
        .filter(|order| model.order_by_id(order.id).is_none_or(|known| known.state != order.state))
        .map(|order| order.id)
        .collect();
    let news = model.take_view(view);
    if was_signed_in && !model.view.signed_in && !model.working_offline && model.screen != Screen::Login {
        // the session ended; work goes on from the queue and the last known balances
        model.working_offline = true;
        model.epoch += 1;
    }
    let mut effects = notify(model, &news);
    if !was_signed_in && model.view.signed_in && model.screen == Screen::Login && !model.login.busy {
        // a session that was kept is resumed
        effects.extend(begin_session(model));
    }
    finish_edit(model);
    if moved && model.view.signed_in && model.screen != Screen::Login {
        effects.extend(history::reload(model));
    }
    // an order that is looked at has ended: its life has more to tell
    if let Some(Overlay::Receipt(id)) = model.overlay
        && ended.contains(&id)
    {
        effects.extend(overlay::ask_life_of_order(model, id));
    }
    effects
}

/// Incoming money is told outside too, while nobody looks.
fn notify(model: &Model, news: &[Notice]) -> Vec<Effect> {
    if model.has_focus {
        return Vec::new();
    }
    let told = |notice: &&Notice| notice.kind != NoticeKind::Info;
    news.iter().filter(told).map(|notice| Effect::Notify(notice.text.clone())).collect()
}

/// Once an order that is edited has ended as cancelled, its content is filled into the form.
fn finish_edit(model: &mut Model) {
    let Some(order) = model.editing.and_then(|id| model.order_by_id(id)).cloned() else { return };
    match order.state {
        OrderState::Withdrawn | OrderState::Declined { code: CANCELLED, .. } => {
            model.editing = None;
            let confirming = matches!(model.overlay, Some(Overlay::Confirm { .. }));
            let filling = model.screen == Screen::Transfer && !model.transfer.is_empty();
            if confirming || filling {
                let text = "The order is cancelled. Edit on it, in the queue, fills it in again.";
                model.toast(NoticeKind::Info, text);
            } else {
                fill_in_again(model, &order);
            }
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

/// Fills the content of an order that never posts into the form.
fn fill_in_again(model: &mut Model, order: &OrderView) {
    let accounts = model.view.profile.as_ref().map(|profile| profile.accounts.as_slice());
    let from = accounts.unwrap_or_default().iter().position(|account| account.number == order.from);
    let currency = order.amount.currency();
    model.transfer = TransferForm {
        from: from.unwrap_or(0),
        to: Input::new(order.to.to_string()),
        amount: Input::new(currency.format(order.amount.minor_units())),
        memo: Input::new(order.memo.clone()),
        refund: order.refund_of.clone().map(|of| crate::forms::Refund { of, at_most: None }),
        ..TransferForm::default()
    };
    model.overlay = None;
    show(model, Screen::Transfer);
}

fn step(at: usize, count: usize, forward: bool) -> usize {
    if count == 0 { 0 } else { (at + if forward { 1 } else { count - 1 }) % count }
}

/// A place in a list after a key that moves; `None` if the key does not move.
fn moved(at: usize, count: usize, action: Action) -> Option<usize> {
    let last = count.saturating_sub(1);
    Some(match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(last),
        Action::PageUp => at.saturating_sub(PAGE_ROWS),
        Action::PageDown => (at + PAGE_ROWS).min(last),
        Action::Top => 0,
        Action::Bottom => last,
        _ => return None,
    })
}

/// Does an action where the keys go now.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.overlay.is_some() {
        return overlay::act(model, action);
    }
    match action {
        Action::Quit => model.quit = true,
        Action::Suspend => return vec![Effect::Suspend],
        Action::Help => overlay::open(model, Overlay::Help { from: 0 }),
        Action::Palette => {
            overlay::open(model, Overlay::Palette { text: Input::default(), chosen: 0 });
        }
        Action::DemoMenu => {
            let processes = model.demo.as_ref().map(|demo| demo.processes.as_slice()).unwrap_or_default();
            let gateway = processes.iter().position(|(name, _)| name.starts_with("gateway"));
            let gateway = gateway.unwrap_or(0);
            overlay::open(model, Overlay::Demo(gateway));
            return vec![Effect::LookAtDemo];
        }
        Action::ToQueue => model.focus = Focus::Queue,
        Action::HideBalances => model.hidden = !model.hidden,
        Action::ClearToasts => model.toasts.clear(),
        Action::ToggleOffline => {
            return vec![Effect::SetOffline(model.view.connection != Connection::Offline)];
        }
        Action::LogOut => return sign_out(model),
        Action::WorkOffline => {
            if model.view.profile.is_some() {
                model.working_offline = true;
                model.screen = Screen::Overview;
            } else {
                model.login.error =
                    Some("Nobody has signed in here yet; the first time needs the network.".into());
            }
        }
        Action::ToTransfer => {
            if model.transfer.refund.is_some() {
                model.transfer = TransferForm::default();
            }
            show(model, Screen::Transfer);
            model.transfer.from = model.account;
            model.transfer.field = TransferField::To;
            model.transfer.suggestion = None;
        }
        Action::ToHistory => {
            show(model, Screen::History);
            model.history.chosen = 0;
            return history::reload(model);
        }
        Action::ToInbox => {
            show(model, Screen::Inbox);
            (model.item, model.unread) = (0, 0);
        }
        Action::ToSettings => show(model, Screen::Settings),
        _ if model.focus == Focus::Queue => return queue::act(model, action),
        _ => return act_on_screen(model, action),
    }
    Vec::new()
}

fn show(model: &mut Model, screen: Screen) {
    model.screen = screen;
    model.focus = Focus::Main;
}

fn act_on_screen(model: &mut Model, action: Action) -> Vec<Effect> {
    match model.screen {
        Screen::Login => return forms::act_on_login(model, action),
        Screen::Transfer => return forms::act_on_transfer(model, action),
        Screen::History => return history::act(model, action),
        Screen::Overview => {
            if let Some(place) = moved(model.account, model.account_count(), action) {
                model.account = place;
                return history::reload(model);
            }
        }
        Screen::Inbox | Screen::Settings if action == Action::Back => model.screen = home(model),
        Screen::Inbox => match moved(model.item, model.inbox.len(), action) {
            Some(place) => model.item = place,
            None if action == Action::Submit => {
                if let Some(notice) = model.inbox.get(model.item).cloned() {
                    overlay::open(model, Overlay::Notice(Box::new(notice)));
                }
            }
            None => {}
        },
        Screen::Settings => return act_on_settings(model, action),
    }
    Vec::new()
}

/// Where Esc leads to: the accounts, or the log-in where nobody is known.
fn home(model: &Model) -> Screen {
    if model.view.signed_in || model.working_offline { Screen::Overview } else { Screen::Login }
}

fn act_on_settings(model: &mut Model, action: Action) -> Vec<Effect> {
    let rows = Preference::ALL.len() + model.all_facts().len();
    if let Some(place) = moved(model.setting, rows, action) {
        model.setting = place;
        return Vec::new();
    }
    let (Action::Submit | Action::Left, Some(preference)) = (action, Preference::ALL.get(model.setting))
    else {
        return Vec::new();
    };
    let value = model.preferences.change(*preference, action == Action::Submit);
    model.theme = model.preferences.theme();
    let mut effects = vec![Effect::Keep { key: preference.key(), value }];
    if *preference == Preference::Mouse {
        effects.push(Effect::Mouse(model.preferences.settings.mouse));
    }
    effects
}

fn sign_out(model: &mut Model) -> Vec<Effect> {
    model.epoch += 1;
    show(model, Screen::Login);
    model.forget_person();
    model.login = LoginForm { bank: model.login.bank, ..LoginForm::default() };
    if let Some(profile) = &model.view.profile {
        model.login.person = Input::new(profile.person.clone());
        model.login.field = LoginField::Password;
        let place = model.view.banks.iter().position(|(name, _)| *name == profile.bank);
        model.login.bank = place.unwrap_or(model.login.bank);
    }
    vec![Effect::LogOut]
}

/// What a process key does to a process in its state.
fn control(action: Action, state: &ProcessState) -> Option<Control> {
    use ProcessState::{CutOff, Frozen, FrozenAndCutOff};
    let wanted = match (action, state) {
        (Action::DemoToggle, _) if !state.is_up() => Control::Start,
        (Action::DemoToggle, _) => Control::Kill,
        (Action::DemoRestart, _) => Control::Restart,
        (Action::DemoFreeze, Frozen | FrozenAndCutOff) => Control::Thaw,
        (Action::DemoFreeze, _) => Control::Freeze,
        (Action::DemoCutOff, CutOff | FrozenAndCutOff) => Control::Reconnect,
        (Action::DemoCutOff, _) => Control::CutOff,
        _ => return None,
    };
    state.offers().contains(&wanted).then_some(wanted)
}

/// Send lies dead until then.
fn arming(now: Instant) -> Instant {
    now + Duration::from_millis(ARMING_MS)
}
