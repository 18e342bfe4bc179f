//! The screen without a terminal: keys in, effects and drawn cells out.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::style::Color;
use strife_client::view::{Connection, Credit, Notice, NoticeKind, OrderState};
use strife_client::{ThemeName, TransferId};
use strife_tui::demo::{Control, ProcessState};
use strife_tui::model::{Focus, Model, Overlay, Screen, Told};
use strife_tui::theme::Theme;
use strife_tui::update::{Effect, Msg, Reply, update};

use fixture::{
    drawn, key, key_of, life, model, model_with, movement, order, preferences, states, text, type_text, view,
    wait_until_armed,
};

mod fixture;

const SCREENS: [Screen; 6] =
    [Screen::Login, Screen::Overview, Screen::Transfer, Screen::History, Screen::Inbox, Screen::Settings];

#[test]
fn no_size_and_no_screen_makes_it_panic_and_the_queue_is_in_sight_wherever_there_is_room() {
    let overlays = [
        None,
        Some(Overlay::Help { from: 0 }),
        Some(Overlay::Receipt(TransferId([1; 16]))),
        Some(Overlay::Receipt(TransferId([99; 16]))),
        Some(Overlay::Movement(Box::new(movement(3)))),
        Some(Overlay::Demo(0)),
        Some(Overlay::Palette { text: tui_input::Input::default(), chosen: 2 }),
        Some(Overlay::PayeeName { account: "user2@Bank2".into(), name: "Bo".into() }),
    ];
    for (width, height) in [(1, 1), (3, 40), (59, 17), (60, 18), (80, 24), (117, 30), (140, 45), (500, 200)] {
        for screen in SCREENS {
            for overlay in &overlays {
                let mut model = model(screen);
                model.overlay = overlay.clone();
                let text = text(&drawn(&model, width, height));
                if width >= 60 && height >= 18 && overlay.is_none() {
                    assert!(text.contains("Offline queue"), "{width}×{height} {screen:?}\n{text}");
                }
            }
        }
    }
    assert!(text(&drawn(&model(Screen::Overview), 59, 17)).contains("60×18"));
}

#[test]
fn every_state_of_an_order_is_a_word_and_a_sign_not_a_colour_alone() {
    let model = model_with(Screen::Overview, preferences(ThemeName::Plain));
    assert_eq!(model.theme, Theme::plain());
    let buffer = drawn(&model, 140, 45);
    let text = text(&buffer);
    for word in
        ["queued", "sending", "pending", "posted", "credited", "declined", "void", "withdrawn", "parked"]
    {
        assert!(text.contains(word), "{word}\n{text}");
    }
    for cell in buffer.content() {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "NO_COLOR means none");
    }
}

#[test]
fn a_payment_is_confirmed_with_the_focus_on_cancel() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Char('t'));
    assert_eq!(model.screen, Screen::Transfer);
    type_text(&mut model, "user2@Bank2");
    key(&mut model, KeyCode::Enter);
    type_text(&mut model, "12.345");
    assert!(text(&drawn(&model, 80, 24)).contains("fewer decimals"));
    key(&mut model, KeyCode::Backspace);
    key(&mut model, KeyCode::Enter);
    type_text(&mut model, "Cinema?");
    // Enter held down: the confirmation opens, is cancelled, opens again; nothing is ever sent
    for _ in 0..20 {
        assert_eq!(key(&mut model, KeyCode::Enter), []);
    }
    model.overlay = None;
    key(&mut model, KeyCode::Enter);
    key(&mut model, KeyCode::Right);
    // held down, also on Send it sends nothing
    for _ in 0..200 {
        model.now += Duration::from_millis(33);
        assert_eq!(key(&mut model, KeyCode::Enter), []);
    }
    wait_until_armed(&mut model);
    key(&mut model, KeyCode::Left);
    let text = text(&drawn(&model, 80, 24));
    for needle in ["12.34 EUR", "user2@Bank2", "Cinema?", "1,054.95 EUR", "now", "Cancel", "Send"] {
        assert!(text.contains(needle), "{needle}\n{text}");
    }
    key(&mut model, KeyCode::Right);
    match key(&mut model, KeyCode::Enter).as_slice() {
        [Effect::Pay(payment)] => {
            assert_eq!(payment.amount.minor_units(), 1_234);
            assert_eq!(payment.to.to_string(), "user2@Bank2");
            assert_eq!(payment.from.to_string(), "100000000190");
        }
        other => panic!("{other:?}"),
    }
    let reply = Reply::Queued(Ok(TransferId([1; 16])));
    let remembered = update(&mut model, Msg::Reply { epoch: 0, reply });
    assert_eq!(remembered, [Effect::SavePayee { account: "user2@Bank2".into(), name: None }]);
    assert!(model.transfer.to.value().is_empty(), "the next payment begins with an empty form");
}

#[test]
fn what_cannot_be_sent_says_why_beside_its_field() {
    for (to, amount, needle) in [
        ("user2@Bank9", "1", "no bank of that name"),
        ("100000000191@Bank1", "1", "a digit is wrong or missing"),
        ("user2@Bank2", "0", "more than zero"),
        ("user2@Bank2", "-5", "more than zero"),
        ("user2@Bank2", "1e3", "not a number"),
        ("user2@Bank2", "99999999999999999999", "too large"),
        ("user2@Bank2", "1067.30", "More than is available"),
    ] {
        let mut model = model(Screen::Transfer);
        strife_tui::forms::insert(&mut model.transfer.to, to);
        strife_tui::forms::insert(&mut model.transfer.amount, amount);
        let text = text(&drawn(&model, 140, 40));
        assert!(text.contains(needle), "{to} {amount}: {needle}\n{text}");
    }
    // the own account as payee
    let mut model = model(Screen::Transfer);
    strife_tui::forms::insert(&mut model.transfer.to, "100000000190@Bank1");
    strife_tui::forms::insert(&mut model.transfer.amount, "1");
    assert!(model.transfer.payment(&model.view).is_err());
}

#[test]
fn the_bank_is_chosen_from_where_one_begins_and_arrows_move_in_a_name_that_is_typed() {
    let mut model = model(Screen::Login);
    let banks = model.view.banks.len();
    assert!(banks > 1);
    key(&mut model, KeyCode::Right);
    assert_eq!(model.login.bank, 1);
    key(&mut model, KeyCode::Left);
    key(&mut model, KeyCode::Left);
    assert_eq!(model.login.bank, banks - 1, "around");
    type_text(&mut model, "ab");
    key(&mut model, KeyCode::Left);
    type_text(&mut model, "x");
    assert_eq!((model.login.person.value(), model.login.bank), ("axb", banks - 1));
}

#[test]
fn a_password_is_drawn_as_dots_and_leaves_the_model_when_it_is_sent() {
    let mut model = model(Screen::Login);
    type_text(&mut model, "user1");
    key(&mut model, KeyCode::Enter);
    type_text(&mut model, "geheim?q");
    let text = text(&drawn(&model, 80, 24));
    assert!(text.contains("••••••••") && !text.contains("geheim"), "{text}");
    match key(&mut model, KeyCode::Enter).as_slice() {
        [Effect::LogIn { bank, person, password, keep: false }] => {
            assert_eq!((bank.as_str(), person.as_str(), password.as_str()), ("Bank1", "user1", "geheim?q"));
        }
        other => panic!("{other:?}"),
    }
    assert!(model.login.password.is_empty());
    let answer = |epoch| Msg::Reply {
        epoch,
        reply: Reply::SignedIn(Err("The name or the password is not right.".into())),
    };
    let epoch = model.epoch;
    update(&mut model, answer(epoch - 1));
    assert!(model.login.busy, "a reply of an older attempt is dropped");
    update(&mut model, answer(epoch));
    assert!(text_of(&model).contains("not right"));
}

fn text_of(model: &Model) -> String {
    text(&drawn(model, 100, 30))
}

#[test]
fn hostile_text_and_pasted_megabytes_break_no_column_and_reach_no_terminal() {
    let mut model = model(Screen::History);
    model.history.rows[0].memo = "\u{1b}[2J\u{202e}gpj.exe 日本語日本語日本語".into();
    model.history.rows[0].counterpart = "محمد@Bank2".into();
    model.view.profile.as_mut().unwrap().display_name = "🍰".repeat(100);
    let buffer = drawn(&model, 100, 30);
    for cell in buffer.content() {
        assert!(cell.symbol().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{:?}", cell.symbol());
    }
    model.screen = Screen::Transfer;
    update(&mut model, Msg::Paste("x\u{1b}\n".repeat(1_000_000)));
    assert!(model.transfer.to.value().chars().count() <= 200);
    assert!(model.transfer.to.value().chars().all(|c| c == 'x'));
}

#[test]
fn the_queues_keys_do_only_what_an_orders_state_allows() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Tab);
    assert_eq!(model.focus, Focus::Queue);
    let places = states();
    for (place, state) in places.iter().enumerate() {
        model.order = place;
        let id = model.view.orders[place].id;
        let ended = state.is_ended();
        assert_eq!(key(&mut model, KeyCode::Char('c')).contains(&Effect::Cancel(id)), !ended, "{state:?}");
        assert_eq!(key(&mut model, KeyCode::Char('x')).contains(&Effect::Dismiss(id)), ended, "{state:?}");
        assert_eq!(key(&mut model, KeyCode::Char('s')).contains(&Effect::SendAgain(id)), ended, "{state:?}");
        assert_eq!(key(&mut model, KeyCode::Char('r')), [Effect::Retry(Some(id))]);
    }
    assert_eq!(key(&mut model, KeyCode::Char('R')), [Effect::Retry(None)]);
}

#[test]
fn an_edited_order_is_cancelled_first_and_filled_in_only_once_that_is_recorded() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Tab);
    let id = model.view.orders[9].id;
    model.order = 9;
    assert_eq!(key(&mut model, KeyCode::Char('e')), [Effect::Cancel(id)]);
    assert_eq!(model.screen, Screen::Overview, "not before it is cancelled");
    let mut view = view();
    view.orders[9].state = OrderState::Declined { code: "CANCELLED", sentence: "The payment was cancelled." };
    update(&mut model, Msg::View(Box::new(view.clone())));
    assert_eq!(model.screen, Screen::Transfer);
    assert_eq!((model.transfer.to.value(), model.transfer.amount.value()), ("user2@Bank2", "12.34"));
    // one that was posted after all is not filled in again
    let mut model = self::model(Screen::Overview);
    model.editing = Some(id);
    view.orders[9].state = OrderState::Posted { credit: Credit::Account };
    update(&mut model, Msg::View(Box::new(view)));
    assert_eq!((model.screen, model.editing), (Screen::Overview, None));
}

#[test]
fn history_loads_on_as_one_scrolls_and_a_late_page_of_another_account_is_dropped() {
    let mut model = model(Screen::History);
    model.history.cursor = Some(vec![7]);
    let mut effects = Vec::new();
    for _ in 0..8 {
        effects.extend(key(&mut model, KeyCode::PageDown));
    }
    let next = Effect::LoadHistory { account: "100000000190".into(), cursor: Some(vec![7]) };
    assert_eq!(effects, [next], "once, while it is on its way");
    let page_of = |account: &str, from: Option<u8>, result| Msg::Reply {
        epoch: 0,
        reply: Reply::Page { account: account.into(), from: from.map(|byte| vec![byte]), result },
    };
    update(&mut model, page_of("100000000287", None, Ok((Vec::new(), None))));
    assert_eq!(model.history.rows.len(), 60);
    let page = Ok((vec![movement(1)], None));
    update(&mut model, page_of("100000000190", Some(7), page));
    assert_eq!((model.history.rows.len(), model.history.cursor.clone()), (61, None));
}

#[test]
fn good_news_goes_away_by_itself_and_bad_news_stays_until_it_is_put_away() {
    let mut model = model(Screen::Overview);
    let mut view = view();
    view.notices = vec![
        Notice { number: 1, at_ms: 1, kind: NoticeKind::Good, text: "5.00 EUR came in".into() },
        Notice { number: 2, at_ms: 2, kind: NoticeKind::Bad, text: "declined".into() },
    ];
    update(&mut model, Msg::View(Box::new(view.clone())));
    assert!(text_of(&model).contains("came in"));
    let later = model.now + Duration::from_secs(60);
    update(&mut model, Msg::Tick(later));
    let shown = text_of(&model);
    assert!(!shown.contains("came in") && shown.contains("! declined"), "{shown}");
    update(&mut model, Msg::View(Box::new(view)));
    assert_eq!(model.toasts.len(), 1, "the same notice is not shown twice");
    key(&mut model, KeyCode::Char('z'));
    assert!(model.toasts.is_empty());
}

#[test]
fn after_signing_out_nobody_sees_balances_or_what_stands_in_the_queue() {
    let mut model = model(Screen::Overview);
    assert_eq!(key(&mut model, KeyCode::Char('l')), [Effect::LogOut]);
    let shown = text(&drawn(&model, 140, 45));
    assert!(
        shown.contains("Sign in") && !shown.contains("user2@Bank2") && !shown.contains("12.34"),
        "{shown}"
    );
    // the name is there already, so what is typed is the password, and is dots
    type_text(&mut model, "pass1");
    assert!(!text(&drawn(&model, 140, 45)).contains("pass1"));
    let mut view = view();
    let profile = view.profile.as_mut().unwrap();
    (profile.signed_out, profile.as_of_ms) = (true, 0);
    (view.signed_in, view.live) = (false, false);
    update(&mut model, Msg::View(Box::new(view)));
    update(&mut model, Msg::Key(KeyEvent::new(KeyCode::Char('o'), KeyModifiers::CONTROL)));
    assert_eq!(model.screen, Screen::Overview);
    let shown = text(&drawn(&model, 140, 45));
    assert!(!shown.contains("1,067.29") && shown.contains("not kept"), "{shown}");
}

#[test]
fn leaving_and_help_stand_in_the_bottom_bar_at_every_width() {
    for width in [60, 80, 120] {
        for screen in SCREENS {
            let shown = text(&drawn(&model(screen), width, 24));
            let bar = shown.lines().last().unwrap().to_owned();
            assert!(bar.contains("help") && (bar.contains("quit") || bar.contains("back")), "{width} {bar}");
        }
    }
}

#[test]
fn every_field_of_a_form_is_in_sight_at_every_size() {
    for (width, height) in [(60, 18), (80, 24), (140, 45)] {
        let shown = text(&drawn(&model(Screen::Transfer), width, height));
        for field in ["From", "To", "Amount", "Memo"] {
            assert!(shown.contains(field), "{width}×{height} {field}\n{shown}");
        }
        let shown = text(&drawn(&model(Screen::Login), width, height));
        for field in ["Bank1", "Name", "Password"] {
            assert!(shown.contains(field), "{width}×{height} {field}\n{shown}");
        }
    }
}

#[test]
fn a_confirmation_keeps_its_buttons_and_says_truly_when_the_money_goes() {
    for (width, height) in [(60, 18), (80, 24), (140, 45)] {
        for (connection, own_bank) in [
            (Connection::Online { latency_ms: 1 }, true),
            (Connection::Online { latency_ms: 1 }, false),
            (Connection::Offline, true),
        ] {
            let mut model = model(Screen::Transfer);
            model.view.connection = connection.clone();
            model.view.banks[0].1 = own_bank;
            strife_tui::forms::insert(&mut model.transfer.to, "user2@Bank2");
            strife_tui::forms::insert(&mut model.transfer.amount, "9999999");
            strife_tui::forms::insert(&mut model.transfer.memo, &"a long memo ".repeat(11));
            model.transfer.field = strife_tui::forms::TransferField::Memo;
            key(&mut model, KeyCode::Enter);
            let shown = text(&drawn(&model, width, height));
            assert!(shown.contains("Cancel") && shown.contains("Send"), "{width}×{height}\n{shown}");
            let now = connection.is_online() && own_bank;
            assert_eq!(shown.contains("into the queue"), !now, "{shown}");
        }
    }
}

#[test]
fn hidden_balances_are_nowhere_on_the_screen() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Char('b'));
    let shown = text(&drawn(&model, 140, 45));
    assert!(!shown.contains("1,067.29") && !shown.contains("1,000.00"), "{shown}");
}

#[test]
fn money_that_moves_marks_its_account_for_a_while_and_stands_in_the_inbox() {
    let mut model = model(Screen::Overview);
    let mut view = view();
    view.profile.as_mut().unwrap().accounts[0].posted += 500;
    let text_of_notice = "5.00 EUR came in from user2@Bank2";
    view.notices = vec![Notice {
        number: 1,
        at_ms: 1_700_000_000_000,
        kind: NoticeKind::Good,
        text: text_of_notice.into(),
    }];
    assert_eq!(update(&mut model, Msg::View(Box::new(view.clone()))), []);
    let shown = text_of(&model);
    assert!(shown.contains("+5.00 Everyday") && shown.contains("✉ 1"), "{shown}");
    let later = model.changes_at().unwrap().max(model.now + Duration::from_secs(10));
    update(&mut model, Msg::Tick(later));
    assert!(!text_of(&model).contains("+5.00 Everyday"));
    key(&mut model, KeyCode::Char('i'));
    let shown = text_of(&model);
    assert!(shown.contains("Inbox") && shown.contains(text_of_notice) && !shown.contains("✉"), "{shown}");
    // while somebody looks elsewhere, it is told outside too
    update(&mut model, Msg::HasFocus(false));
    view.notices.push(Notice { number: 2, at_ms: 1, kind: NoticeKind::Good, text: "more".into() });
    assert_eq!(update(&mut model, Msg::View(Box::new(view))), [Effect::Notify("more".into())]);
}

#[test]
fn the_screen_stands_still_while_nothing_counts_down() {
    let mut model = model(Screen::Overview);
    let lock = model.locks_at().unwrap();
    assert_eq!(model.changes_at(), Some(lock), "nothing but the idle lock");
    model.view.connection =
        Connection::Reconnecting { attempt: 2, next_try: model.now + Duration::from_millis(2_300) };
    assert_eq!(model.changes_at(), Some(model.now + Duration::from_millis(300)), "when the second changes");
}

#[test]
fn without_a_key_for_long_the_person_is_signed_out_and_late_replies_are_dropped() {
    let mut model = model(Screen::Overview);
    let epoch = model.epoch;
    let before = model.locks_at().unwrap() - Duration::from_secs(1);
    assert_eq!(update(&mut model, Msg::Tick(before)), []);
    key(&mut model, KeyCode::Down);
    let at = model.locks_at().unwrap();
    assert_eq!(update(&mut model, Msg::Tick(at)), [Effect::LogOut]);
    assert_eq!(model.screen, Screen::Login);
    assert!(text_of(&model).contains("no key came"));
    let reply = Reply::Queued(Ok(TransferId([1; 16])));
    assert_eq!(update(&mut model, Msg::Reply { epoch, reply }), []);
    assert!(model.overlay.is_none(), "nobody sees the order of who was here before");
}

#[test]
fn whoever_comes_back_after_a_long_sleep_finds_the_screen_locked_whatever_they_do_first() {
    let key = KeyEvent::new(KeyCode::Char('t'), KeyModifiers::NONE);
    let click = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 5,
        row: 5,
        modifiers: KeyModifiers::NONE,
    };
    for msg in [Msg::Key(key), Msg::Paste("5".into()), Msg::Mouse(click)] {
        let mut model = model(Screen::Transfer);
        // no tick came meanwhile: the machine slept
        model.now = model.locks_at().unwrap();
        assert_eq!(update(&mut model, msg), [Effect::LogOut]);
        assert_eq!(model.screen, Screen::Login);
    }
}

#[test]
fn the_filter_finds_every_word_loads_on_and_esc_shows_all_again() {
    let mut model = model(Screen::History);
    key(&mut model, KeyCode::Char('/'));
    model.history.cursor = Some(vec![7]);
    for c in "MOVEMENT 17".chars() {
        key(&mut model, KeyCode::Char(c));
    }
    let shown = text_of(&model);
    assert!(shown.contains("/ MOVEMENT 17") && shown.contains("1 of 1 found in 60+"), "{shown}");
    assert!(model.history.loading_more, "it looks for more");
    key(&mut model, KeyCode::Enter);
    assert!(!model.history.filtering);
    key(&mut model, KeyCode::Esc);
    assert!(text_of(&model).contains("of 60+"));
    assert_eq!(model.screen, Screen::History);
    key(&mut model, KeyCode::Char('s'));
    assert!(text_of(&model).contains("oldest first"));
    key(&mut model, KeyCode::Char('s'));
    let largest: Vec<u64> = model.history.shown().iter().map(|row| row.minor_units.unsigned_abs()).collect();
    assert!(largest.is_sorted_by(|one, next| one >= next), "{largest:?}");
}

#[test]
fn details_show_the_life_that_the_bank_tells_and_a_refund_begins_from_what_is_left() {
    let mut model = model(Screen::History);
    model.account = 0;
    model.history.chosen = 1;
    assert_eq!(key(&mut model, KeyCode::Enter), [Effect::LoadLife(key_of(1))]);
    assert!(text_of(&model).contains("asking the bank"));
    let reply = Reply::Life(key_of(1), Ok(Box::new(life(1))));
    let epoch = model.epoch;
    update(&mut model, Msg::Reply { epoch, reply });
    let shown = text_of(&model);
    for needle in ["submitted", "promised", "posted", "credited", "2.50 EUR; 10.00 can still be"] {
        assert!(shown.contains(needle), "{needle}\n{shown}");
    }
    assert_eq!(model.life.as_ref().map(|(_, told)| matches!(told, Told::Life(_))), Some(true));
    // the time of a step may be the other bank's to know; that it is done is known here
    let told = strife_client::Life { promised_at_ms: None, decided_at_ms: None, ..life(1) };
    update(&mut model, Msg::Reply { epoch, reply: Reply::Life(key_of(1), Ok(Box::new(told))) });
    let shown = text_of(&model);
    assert!(shown.contains("● promised") && shown.contains("● posted"), "{shown}");
    key(&mut model, KeyCode::Char('r'));
    assert_eq!(model.screen, Screen::Transfer);
    assert_eq!(model.transfer.amount.value(), "10.00");
    assert_eq!(model.transfer.to.value(), "100000000190@Bank1", "back to the account that paid");
    // neither payee nor account can be changed, and more than is left is refused here already
    model.transfer.field = strife_tui::forms::TransferField::To;
    type_text(&mut model, "x");
    assert_eq!(model.transfer.to.value(), "100000000190@Bank1");
    model.transfer.amount = "10.01".into();
    assert!(text_of(&model).contains("More than can still be given back"));
    // left, it is not offered as an ordinary payment
    key(&mut model, KeyCode::Esc);
    key(&mut model, KeyCode::Char('t'));
    assert_eq!((model.transfer.to.value(), model.transfer.amount.value()), ("", ""));
    assert!(model.transfer.refund.is_none());
    // money that left cannot be given back
    let mut model = self::model(Screen::History);
    model.history.chosen = 2;
    assert_eq!(key(&mut model, KeyCode::Char('r')), []);
    assert_eq!(model.screen, Screen::History);
}

#[test]
fn an_order_that_ends_at_once_shows_its_life_whichever_news_comes_first() {
    let credited = OrderState::Posted { credit: Credit::Account };
    let id = |number| TransferId([number; 16]);
    let queued = |model: &mut Model, number| {
        let epoch = model.epoch;
        update(model, Msg::Reply { epoch, reply: Reply::Queued(Ok(id(number))) })
    };
    // it has ended already
    let mut model = model(Screen::Overview);
    let place = model.view.orders.iter().position(|order| order.state == credited).unwrap();
    let number = u8::try_from(place + 1).unwrap();
    assert_eq!(queued(&mut model, number), [Effect::LoadLife(key_of(number))]);
    // it is not in sight yet, and stands there with its end
    let mut model = self::model(Screen::Overview);
    assert_eq!(queued(&mut model, 77), []);
    let mut view = view();
    view.orders.insert(0, order(77, credited));
    assert_eq!(update(&mut model, Msg::View(Box::new(view))), [Effect::LoadLife(key_of(77))]);
}

#[test]
fn payees_are_found_as_one_types_and_taken_with_enter() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Char('t'));
    type_text(&mut model, "bo");
    let shown = text_of(&model);
    assert!(shown.contains("user2@Bank2") && shown.contains("Bo"), "{shown}");
    key(&mut model, KeyCode::Down);
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.transfer.to.value(), "user2@Bank2");
    update(&mut model, Msg::Key(KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL)));
    assert!(text_of(&model).contains("What you call this payee"));
    type_text(&mut model, "b");
    let saved = Effect::SavePayee { account: "user2@Bank2".into(), name: Some("Bob".into()) };
    assert_eq!(key(&mut model, KeyCode::Enter), [saved]);
}

#[test]
fn the_palette_does_by_name_what_keys_do_and_settings_are_kept() {
    let mut model = model(Screen::Overview);
    key(&mut model, KeyCode::Char(':'));
    type_text(&mut model, "sign-out");
    assert!(text_of(&model).contains("Sign out; the queue is kept"));
    assert_eq!(key(&mut model, KeyCode::Enter), [Effect::LogOut]);
    let mut model = self::model(Screen::Overview);
    key(&mut model, KeyCode::Char(','));
    let before = model.theme;
    let effects = key(&mut model, KeyCode::Enter);
    let value = strife_tui::preferences::Value::Word("plain");
    assert_eq!(effects, [Effect::Keep { key: "theme", value }]);
    assert_ne!(model.theme, before);
    for _ in 0..2 {
        key(&mut model, KeyCode::Down);
    }
    assert!(key(&mut model, KeyCode::Enter).contains(&Effect::Mouse(true)));
}

#[test]
fn the_demos_processes_are_killed_frozen_and_cut_off_as_their_state_allows() {
    let mut model = model(Screen::Overview);
    assert_eq!(key(&mut model, KeyCode::F(9)), [Effect::LookAtDemo]);
    let next = model.changes_at().unwrap();
    assert_eq!(update(&mut model, Msg::Tick(next)), [Effect::LookAtDemo], "others can change them too");
    for (state, letter, control) in [
        (ProcessState::Runs, ' ', Some(Control::Kill)),
        (ProcessState::Runs, 'f', Some(Control::Freeze)),
        (ProcessState::Frozen, 'f', Some(Control::Thaw)),
        (ProcessState::Runs, 'c', Some(Control::CutOff)),
        (ProcessState::CutOff, 'c', Some(Control::Reconnect)),
        (ProcessState::Runs, 'r', Some(Control::Restart)),
        (ProcessState::Killed, ' ', Some(Control::Start)),
        (ProcessState::Ended("no room".into()), 'f', None),
    ] {
        model.demo.as_mut().unwrap().processes[0].1 = state;
        let wanted: Vec<Effect> =
            control.map(|control| Effect::Demo("gateway1".into(), control)).into_iter().collect();
        assert_eq!(key(&mut model, KeyCode::Char(letter)), wanted);
    }
}

#[test]
fn the_mouse_does_what_keys_do() {
    let mut model = model(Screen::History);
    update(&mut model, Msg::Size(140, 45));
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    update(&mut model, click(5, 6));
    assert_eq!(model.history.chosen, 3);
    let shown = text(&drawn(&model, 140, 45));
    assert!(shown.lines().nth(6).unwrap().contains("▸"), "{shown}");
    // the queue, and an order in it
    update(&mut model, click(130, 4));
    assert_eq!((model.focus, model.order), (Focus::Queue, 1));
    let bar = text(&drawn(&model, 140, 45)).lines().last().unwrap().to_owned();
    let retry = u16::try_from(bar.find("retry").unwrap()).unwrap();
    let id = model.view.orders[1].id;
    assert_eq!(update(&mut model, click(retry, 44)), [Effect::Retry(Some(id))]);
}

#[test]
fn a_balance_in_a_currency_that_nobody_knows_is_shown_in_words() {
    let mut model = model(Screen::Overview);
    model.view.profile.as_mut().unwrap().accounts[0].currency = "ZZZ".into();
    model.history.rows[0].currency = "ZZZ".into();
    assert!(text(&drawn(&model, 140, 45)).contains("minor units"));
    // nothing can be paid from it, and that is said
    model.screen = Screen::Transfer;
    strife_tui::forms::insert(&mut model.transfer.to, "user2@Bank2");
    strife_tui::forms::insert(&mut model.transfer.amount, "1");
    assert!(model.transfer.payment(&model.view).is_err());
    drawn(&model, 80, 24);
}

#[test]
fn an_accounts_amounts_have_their_currency_at_every_width() {
    for width in 60..=200 {
        let shown = text(&drawn(&model(Screen::Overview), width, 30));
        let row = shown.lines().find(|line| line.contains("100000000190")).unwrap();
        assert!(row.contains("– EUR"), "{width}: {row}");
    }
}

#[test]
fn names_of_two_hundred_characters_break_nothing() {
    let long = "B".repeat(200);
    for screen in SCREENS {
        let mut model = model(screen);
        model.view.banks.insert(0, (long.clone(), true));
        let profile = model.view.profile.as_mut().unwrap();
        (profile.bank, profile.display_name) = (long.clone(), "日本語".repeat(60));
        profile.accounts[0].name = "محمد ".repeat(40);
        for (width, height) in [(60, 18), (80, 24), (140, 45)] {
            let shown = text(&drawn(&model, width, height));
            assert!(shown.contains("Offline queue"), "{shown}");
        }
    }
}
