//! The screen without a terminal: keys in, effects and drawn cells out.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use strife_client::view::{
    AccountView, Connection, Credit, Notice, NoticeKind, OrderState, OrderView, Profile, View,
};
use strife_client::{BankName, Currency, Money, Movement, TransferId};
use strife_tui::model::{Demo, Focus, Model, Overlay, Screen};
use strife_tui::theme::Theme;
use strife_tui::update::{Effect, Msg, update};
use strife_tui::view::draw;

fn account(name: &str, number: &str, available: i64) -> AccountView {
    AccountView {
        number: number.into(),
        name: name.into(),
        currency: "EUR".into(),
        posted: available,
        held: 0,
        available,
        incoming: 0,
        open: true,
    }
}

fn order(id: u8, state: OrderState) -> OrderView {
    OrderView {
        id: TransferId([id; 16]),
        bank: BankName::new("Bank1").unwrap(),
        person: "user1".into(),
        from: "100000000190".into(),
        to: "user2@Bank2".parse().unwrap(),
        amount: Money::new(1_234, Currency::new("EUR").unwrap()).unwrap(),
        memo: "Cinema".into(),
        made_at_ms: 1_700_000_000_000,
        sent: state != OrderState::Queued,
        state,
        attempts: 1,
        next_try: None,
        reason: String::new(),
        cancelling: false,
        refund_of: None,
    }
}

fn states() -> Vec<OrderState> {
    vec![
        OrderState::Queued,
        OrderState::Sending,
        OrderState::Pending,
        OrderState::Posted { credit: Credit::Unconfirmed },
        OrderState::Posted { credit: Credit::Account },
        OrderState::Posted { credit: Credit::Suspense },
        OrderState::Declined { code: "INSUFFICIENT_FUNDS", sentence: "There is not enough money." },
        OrderState::Never { sentence: "Another order holds this id." },
        OrderState::Withdrawn,
        OrderState::Parked { code: "UNKNOWN_BANK".into(), sentence: "No bank of that name.".into() },
    ]
}

fn view() -> View {
    View {
        network: "demo".into(),
        gateway: "127.0.0.1:7000".into(),
        connection: Connection::Online { latency_ms: 2 },
        banks: vec![("Bank1".into(), true), ("Bank2".into(), false)],
        profile: Some(Profile {
            bank: "Bank1".into(),
            person: "user1".into(),
            display_name: "Una Okafor".into(),
            accounts: vec![
                account("Everyday", "100000000190", 106_729),
                account("Savings", "100000000287", 500_000),
            ],
            as_of_ms: 1_700_000_000_000,
            signed_out: false,
            device_key: vec![1; 16],
        }),
        signed_in: true,
        live: true,
        position: 9,
        orders: states().into_iter().zip(1u8..).map(|(state, id)| order(id, state)).collect(),
        movements_seen: 0,
        notices: Vec::new(),
        key_place: "OS keyring".into(),
    }
}

fn model(screen: Screen) -> Model {
    let mut model =
        Model::new(view(), Some("A rehearsal.".into()), Theme::colour(), TimeZone::UTC, Instant::now());
    model.screen = screen;
    model.demo = Some(Demo { processes: vec![("gateway1".into(), true), ("Bank1".into(), false)] });
    model.history.account = "100000000190".into();
    model.history.rows = (0..60).map(movement).collect();
    model
}

fn movement(number: i64) -> Movement {
    Movement {
        position: number as u64,
        at_ms: 1_700_000_000_000 + number * 60_000,
        minor_units: if number % 2 == 0 { -1_250 } else { 420 },
        currency: "EUR".into(),
        balance_after: 100_000,
        counterpart: "user2@Bank2".into(),
        memo: format!("movement {number}"),
        transfer: Some("Bank1/x".into()),
        key: None,
        refund_of: None,
        kind: "transfer".into(),
    }
}

fn drawn(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = buffer.area.width as usize;
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width.max(1)).map(|row| row.concat() + "\n").collect()
}

fn key(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn type_text(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(key(model, KeyCode::Char(c)), []);
    }
}

const SCREENS: [Screen; 4] = [Screen::Login, Screen::Home, Screen::Transfer, Screen::History];

#[test]
fn no_size_and_no_screen_makes_it_panic_and_the_queue_is_in_sight_wherever_there_is_room() {
    let overlays = [
        None,
        Some(Overlay::Help),
        Some(Overlay::Receipt(TransferId([1; 16]))),
        Some(Overlay::Receipt(TransferId([99; 16]))),
        Some(Overlay::Movement(3)),
        Some(Overlay::Demo(0)),
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
    assert!(text(&drawn(&model(Screen::Home), 59, 17)).contains("60×18"));
}

#[test]
fn every_state_of_an_order_is_a_word_and_a_sign_not_a_colour_alone() {
    let mut model = model(Screen::Home);
    model.theme = Theme::plain();
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
    let mut model = model(Screen::Home);
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
fn a_password_is_drawn_as_dots_and_leaves_the_model_when_it_is_sent() {
    let mut model = model(Screen::Login);
    type_text(&mut model, "user1");
    key(&mut model, KeyCode::Enter);
    type_text(&mut model, "geheim?q");
    let text = text(&drawn(&model, 80, 24));
    assert!(text.contains("••••••••") && !text.contains("geheim"), "{text}");
    match key(&mut model, KeyCode::Enter).as_slice() {
        [Effect::LogIn { bank, person, password }] => {
            assert_eq!((bank.as_str(), person.as_str(), password.as_str()), ("Bank1", "user1", "geheim?q"));
        }
        other => panic!("{other:?}"),
    }
    assert!(model.login.password.is_empty());
    update(&mut model, Msg::SignedIn(Err("The name or the password is not right.".into())));
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
    let mut model = model(Screen::Home);
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
    let mut model = model(Screen::Home);
    key(&mut model, KeyCode::Tab);
    let id = model.view.orders[9].id;
    model.order = 9;
    assert_eq!(key(&mut model, KeyCode::Char('e')), [Effect::Cancel(id)]);
    assert_eq!(model.screen, Screen::Home, "not before it is cancelled");
    let mut view = view();
    view.orders[9].state = OrderState::Declined { code: "CANCELLED", sentence: "The payment was cancelled." };
    update(&mut model, Msg::View(Box::new(view.clone())));
    assert_eq!(model.screen, Screen::Transfer);
    assert_eq!((model.transfer.to.value(), model.transfer.amount.value()), ("user2@Bank2", "12.34"));
    // one that was posted after all is not filled in again
    let mut model = self::model(Screen::Home);
    model.editing = Some(id);
    view.orders[9].state = OrderState::Posted { credit: Credit::Account };
    update(&mut model, Msg::View(Box::new(view)));
    assert_eq!((model.screen, model.editing), (Screen::Home, None));
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
    let late = Msg::Page { account: "100000000287".into(), first: true, result: Ok((Vec::new(), None)) };
    update(&mut model, late);
    assert_eq!(model.history.rows.len(), 60);
    let page = Ok((vec![movement(1)], None));
    update(&mut model, Msg::Page { account: "100000000190".into(), first: false, result: page });
    assert_eq!((model.history.rows.len(), model.history.cursor.clone()), (61, None));
}

#[test]
fn good_news_goes_away_by_itself_and_bad_news_stays_until_it_is_put_away() {
    let mut model = model(Screen::Home);
    let mut view = view();
    view.notices = vec![
        Notice { number: 1, kind: NoticeKind::Good, text: "5.00 EUR came in".into() },
        Notice { number: 2, kind: NoticeKind::Bad, text: "declined".into() },
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
    let mut model = model(Screen::Home);
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
    assert_eq!(model.screen, Screen::Home);
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
    let mut model = model(Screen::Home);
    key(&mut model, KeyCode::Char('b'));
    let shown = text(&drawn(&model, 140, 45));
    assert!(!shown.contains("1,067.29") && !shown.contains("1,000.00"), "{shown}");
}
