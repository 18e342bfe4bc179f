//! Every screen and every state of the queue, at 80×24 and 140×45, in colour and without. A snapshot holds the
//! screen's text; in colour it holds too which words have which style, so that a lost mark is seen.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::fmt::Write;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use strife_client::view::{Connection, Notice, NoticeKind};
use strife_client::{Payment, ThemeName};
use strife_tui::forms::{Refund, TransferField};
use strife_tui::model::{Focus, Model, Overlay, Screen, Told};
use strife_tui::preferences::Preferences;

use fixture::{drawn, key_of, life, model_with, movement, preferences, states, text};

mod fixture;

/// The screen's text, and under it the runs of cells that look unlike plain text, row by row.
fn styled(buffer: &Buffer) -> String {
    let mut said = text(buffer);
    said.push_str("----\n");
    let width = usize::from(buffer.area.width);
    for (row, cells) in buffer.content().chunks(width).enumerate() {
        let mut runs: Vec<(String, String)> = Vec::new();
        for cell in cells {
            let look = look(cell.fg, cell.bg, cell.modifier);
            match runs.last_mut() {
                Some((before, words)) if *before == look => words.push_str(cell.symbol()),
                _ => runs.push((look, cell.symbol().to_owned())),
            }
        }
        for (look, words) in runs.iter().filter(|(look, words)| !look.is_empty() && !words.trim().is_empty())
        {
            writeln!(said, "{row:>2} {look}: {}", words.trim()).unwrap();
        }
    }
    said
}

fn look(fg: Color, bg: Color, modifier: Modifier) -> String {
    let mut look = Vec::new();
    if fg != Color::Reset {
        look.push(fg.to_string());
    }
    if bg != Color::Reset {
        look.push(format!("on {bg}"));
    }
    if !modifier.is_empty() {
        look.push(format!("{modifier:?}").to_lowercase());
    }
    look.join(" ")
}

/// Draws a scene at both sizes, in colour and without, and holds it against what was agreed.
fn agree(name: &str, scene: impl Fn(Preferences) -> Model) {
    for (mode, theme) in [("colour", ThemeName::Sixteen), ("plain", ThemeName::Plain)] {
        let model = scene(preferences(theme));
        for (width, height) in [(80, 24), (140, 45)] {
            let buffer = drawn(&model, width, height);
            insta::assert_snapshot!(format!("{name}_{width}x{height}_{mode}"), styled(&buffer));
        }
    }
}

fn screen(screen: Screen) -> impl Fn(Preferences) -> Model {
    move |preferences| model_with(screen, preferences)
}

#[test]
fn signing_in() {
    agree("login", screen(Screen::Login));
    agree("login_refused", |preferences| {
        let mut model = model_with(Screen::Login, preferences);
        model.login.person = "user1".into();
        model.login.keep = true;
        model.login.error = Some("The name or the password is not right.".into());
        model
    });
    agree("login_before_the_gateway_answers", |preferences| {
        let mut model = model_with(Screen::Login, preferences);
        model.view.banks.clear();
        model.view.profile = None;
        let next_try = model.now + Duration::from_secs(4);
        model.view.connection = Connection::Reconnecting { attempt: 3, next_try };
        model
    });
}

#[test]
fn accounts() {
    agree("overview", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        let account = &mut model.view.profile.as_mut().unwrap().accounts[1];
        (account.held, account.incoming) = (2_500, 4_200);
        model
    });
    agree("overview_offline", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.view.connection = Connection::Offline;
        (model.view.signed_in, model.view.live, model.working_offline) = (false, false, true);
        model
    });
    agree("overview_hidden", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.hidden = true;
        model
    });
    agree("overview_messages", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.toast(NoticeKind::Good, "5.00 EUR came in from user2@Bank2");
        model.toast(NoticeKind::Bad, "The payment was declined: there is not enough money.");
        model
    });
}

#[test]
fn paying() {
    agree("transfer", screen(Screen::Transfer));
    let filled = |preferences| {
        let mut model = model_with(Screen::Transfer, preferences);
        model.transfer.to = "user2@Bank2".into();
        model.transfer.amount = "12.34".into();
        model.transfer.memo = "Cinema".into();
        model.transfer.field = TransferField::Memo;
        model
    };
    agree("transfer_filled", filled);
    agree("transfer_wrong", move |preferences| {
        let mut model = filled(preferences);
        model.transfer.to = "user2@Bank9".into();
        model.transfer.amount = "0".into();
        model
    });
    for (name, send, waits_ms) in
        [("confirm", false, 0), ("confirm_send_not_armed", true, 500), ("confirm_send", true, 0)]
    {
        agree(name, move |preferences| {
            let mut model = filled(preferences);
            let payment: Payment = model.transfer.payment(&model.view).unwrap();
            let armed_at = model.now + Duration::from_millis(waits_ms);
            model.overlay = Some(Overlay::Confirm { payment, send, armed_at });
            model
        });
    }
    agree("refund", move |preferences| {
        let mut model = filled(preferences);
        model.transfer.refund = Some(Refund { of: key_of(9), at_most: Some(1_000) });
        model.transfer.field = TransferField::Amount;
        model
    });
    agree("payee_name", move |preferences| {
        let mut model = filled(preferences);
        model.overlay = Some(Overlay::PayeeName { account: "user2@Bank2".into(), name: "Bo".into() });
        model
    });
}

#[test]
fn history() {
    agree("history", screen(Screen::History));
    agree("history_filter", |preferences| {
        let mut model = model_with(Screen::History, preferences);
        model.history.filter = "movement 1".into();
        model.history.filtering = true;
        model.history.refresh();
        model
    });
    agree("movement", |preferences| {
        let mut model = model_with(Screen::History, preferences);
        model.overlay = Some(Overlay::Movement(Box::new(movement(1))));
        model.life = Some((key_of(1), Told::Life(Box::new(life(1)))));
        model
    });
}

#[test]
fn inbox_and_settings() {
    agree("inbox_empty", screen(Screen::Inbox));
    agree("inbox", |preferences| {
        let mut model = model_with(Screen::Inbox, preferences);
        let kinds = [NoticeKind::Good, NoticeKind::Info, NoticeKind::Bad];
        let item = |(number, kind)| Notice {
            number,
            at_ms: 1_700_000_000_000,
            kind,
            text: "5.00 EUR came in from user2@Bank2".into(),
        };
        model.inbox = (1..).zip(kinds).map(item).collect();
        model
    });
    agree("settings", screen(Screen::Settings));
    agree("notice", |preferences| {
        let mut model = model_with(Screen::Inbox, preferences);
        let text =
            "1 entry of the outbox cannot be read; a copy is /home/una/.local/share/strife/outbox.broken-1";
        let notice = Notice { number: 1, at_ms: 1_700_000_000_000, kind: NoticeKind::Bad, text: text.into() };
        model.inbox = vec![notice.clone()];
        model.overlay = Some(Overlay::Notice(Box::new(notice)));
        model
    });
}

#[test]
fn every_state_of_the_queue() {
    for (place, state) in states().iter().enumerate() {
        let name = format!("queue_{place:02}_{}", state.word());
        agree(&name, |preferences| {
            let mut model = model_with(Screen::Overview, preferences);
            let order = model.view.orders[place].clone();
            model.view.orders = vec![order];
            if model.view.orders[0].state == states()[2] {
                model.view.orders[0].next_try = Some(model.now + Duration::from_secs(7));
                model.view.orders[0].attempts = 3;
                model.view.orders[0].reason = "the payee's bank does not answer".into();
            }
            model.focus = Focus::Queue;
            model
        });
    }
    agree("queue_all", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.focus = Focus::Queue;
        model.order = 4;
        model
    });
    agree("order_of_a_refund", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.view.orders[2].refund_of = Some(key_of(9));
        model.overlay = Some(Overlay::Receipt(model.view.orders[2].id));
        model
    });
    agree("order", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        let id = model.view.orders[4].id;
        model.overlay = Some(Overlay::Receipt(id));
        model.life = Some((key_of(5), Told::Life(Box::new(life(5)))));
        model
    });
}

#[test]
fn help_palette_and_demo() {
    agree("help", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.overlay = Some(Overlay::Help { from: 0 });
        model
    });
    agree("palette", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.overlay = Some(Overlay::Palette { text: "his".into(), chosen: 0 });
        model
    });
    agree("demo", |preferences| {
        let mut model = model_with(Screen::Overview, preferences);
        model.overlay = Some(Overlay::Demo(1));
        model
    });
}

#[test]
fn other_looks() {
    for (name, theme) in [("dark", ThemeName::Dark), ("light", ThemeName::Light)] {
        let buffer = drawn(&model_with(Screen::Overview, preferences(theme)), 140, 45);
        insta::assert_snapshot!(format!("overview_{name}"), styled(&buffer));
    }
    let mut ascii = preferences(ThemeName::Sixteen);
    ascii.settings.borders = strife_client::Borders::Ascii;
    let buffer = drawn(&model_with(Screen::Overview, ascii), 80, 24);
    assert!(!text(&buffer).contains(['╭', '│', '─']), "{}", text(&buffer));
    insta::assert_snapshot!("overview_ascii", styled(&buffer));
}
