//! The first start without a terminal: keys and answers in, effects and drawn cells out.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use strife_client::doctor::network::Answer;
use strife_client::setup::{Files, Which};
use strife_tui::theme::Theme;
use strife_tui::wizard::keys::keys;
use strife_tui::wizard::model::{Button, End, Field, Model, Step};
use strife_tui::wizard::update::{Effect, Msg, Reply, update};
use strife_tui::wizard::view::draw;

fn model() -> Model {
    Model::new(Theme::sixteen(), "/home/ann/.config/strife/client.toml".into(), "/home/ann/data".into())
}

fn print() -> String {
    ["AB"; 32].join(":")
}

fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn control(model: &mut Model, c: char) -> Vec<Effect> {
    update(model, Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
}

fn type_text(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), []);
    }
}

fn enter(model: &mut Model) -> Effect {
    let mut effects = press(model, KeyCode::Enter);
    assert_eq!(effects.len(), 1, "{:?}", model.errors);
    effects.remove(0)
}

fn reply(model: &mut Model, reply: Reply) -> Vec<Effect> {
    update(model, Msg::Reply(reply))
}

fn drawn(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks((buffer.area.width as usize).max(1)).map(|row| row.concat() + "\n").collect()
}

/// All that is drawn, without frames and line ends: what was wrapped reads as it was written.
fn words(model: &Model, width: u16, height: u16) -> String {
    let plain = text(&drawn(model, width, height)).replace(['│', '\n'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Past the gateway, which answers.
fn at_folder() -> Model {
    let mut model = model();
    type_text(&mut model, "bank.example:7000");
    let Effect::Connect { ticket, address } = enter(&mut model) else { panic!() };
    assert_eq!(address, "bank.example:7000");
    assert_eq!(reply(&mut model, Reply::Connected { ticket, result: Ok(()) }), []);
    assert_eq!(model.step, Step::Folder);
    model
}

fn files() -> Files {
    Files {
        authority: "/m/ca.pem".into(),
        trust: "/m/trust.json".into(),
        roster: "/m/roster.bin".into(),
        certificate: "/m/tls.pem".into(),
        private_key: "/m/tls.key".into(),
    }
}

/// At the fingerprint of what was found in one folder.
fn at_fingerprint() -> Model {
    let mut model = at_folder();
    update(&mut model, Msg::Paste("'/m'\n".into()));
    let Effect::FindFiles { ticket, dir } = enter(&mut model) else { panic!() };
    assert_eq!(dir, PathBuf::from("/m"), "the quotes of a dropped file are no part of it");
    let effects = reply(&mut model, Reply::Found { ticket, result: Ok(files()) });
    let [Effect::Fingerprint { ticket, authority }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(authority, &PathBuf::from("/m/ca.pem"));
    assert_eq!(reply(&mut model, Reply::Fingerprint { ticket: *ticket, result: Ok(print()) }), []);
    assert_eq!((model.step, model.field()), (Step::Authority, Some(Field::Fingerprint)));
    model
}

/// At the last screen; the gateway has not been heard yet.
fn at_summary() -> (Model, u64) {
    let mut model = at_fingerprint();
    let effects = control(&mut model, 'y');
    let [Effect::CheckRoster { ticket, roster, trust }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((roster, trust), (&files().roster, &files().trust));
    let network = Ok(("demo".into(), vec!["Bank1".into(), "Bank2".into()]));
    let effects = reply(&mut model, Reply::Roster { ticket: *ticket, result: network });
    let [Effect::CheckCertificate { ticket, plan, network }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((&plan.files, network.as_str()), (&files(), "demo"));
    let identity = Ok("client/laptop, until 2027-02-19".into());
    let effects = reply(&mut model, Reply::Certificate { ticket: *ticket, result: identity });
    let [Effect::Greet { ticket, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((model.step, model.button), (Step::Summary, Button::Back));
    let ticket = *ticket;
    (model, ticket)
}

#[test]
fn one_folder_and_a_compared_fingerprint_lead_to_the_settings() {
    let (mut model, ticket) = at_summary();
    let answer = Answer {
        identity: "gateway/g1".into(),
        banks: vec![("Bank1".into(), true), ("Bank2".into(), false)],
        latency_ms: 3,
        until_ms: 0,
    };
    assert_eq!(reply(&mut model, Reply::Greeted { ticket, result: Ok(answer) }), []);
    for (width, height) in [(60, 18), (80, 24), (200, 60)] {
        let words = words(&model, width, height);
        for needle in [
            "Is this right?",
            "bank.example:7000",
            "is gateway/g1, reaches Bank1, Bank2 (away)",
            "demo, with Bank1, Bank2",
            &["AB"; 16].join(":"),
            "client/laptop, until 2027-02-19",
            "/home/ann/.config/strife/client.toml",
            "[ Back ]",
            "Write",
        ] {
            assert!(words.contains(needle), "{needle} not at {width}×{height} in {words}");
        }
    }
    // the harmless buttons come first; only Write writes
    assert_eq!(press(&mut model, KeyCode::Right), []);
    assert_eq!(model.button, Button::Cancel);
    assert_eq!(press(&mut model, KeyCode::Tab), []);
    assert_eq!(model.button, Button::Write);
    let Effect::Write { ticket, plan } = enter(&mut model) else { panic!() };
    assert_eq!((plan.gateway.as_str(), &plan.files), ("bank.example:7000", &files()));
    assert_eq!(press(&mut model, KeyCode::Enter), [], "once is enough");
    assert_eq!(reply(&mut model, Reply::Written { ticket, result: Err("the disk is full".into()) }), []);
    assert!(model.end.is_none() && model.button == Button::Back);
    assert!(words(&model, 60, 18).contains("! Nothing is set up: the disk is full"));
    model.button = Button::Write;
    let Effect::Write { ticket, .. } = enter(&mut model) else { panic!() };
    reply(&mut model, Reply::Written { ticket, result: Ok(()) });
    assert_eq!(model.end, Some(End::Written));
}

#[test]
fn an_address_is_checked_as_text_then_by_connecting_and_may_be_away() {
    let mut model = model();
    for bad in ["", "bank.example", ":7000", "bank.example:0", "bank.example:x", "http://bank:70"] {
        model.inputs.clear();
        type_text(&mut model, bad);
        assert_eq!(press(&mut model, KeyCode::Enter), [], "{bad}");
        assert!(model.errors[&Field::Gateway].contains("host:port"), "{bad}");
        assert_eq!(model.step, Step::Gateway);
    }
    model.inputs.clear();
    type_text(&mut model, "[::1]:7000");
    let Effect::Connect { ticket, .. } = enter(&mut model) else { panic!() };
    assert!(words(&model, 60, 18).contains("looking …"));
    assert_eq!(press(&mut model, KeyCode::Char('x')), [], "nothing is typed while it is checked");
    let result = Err("no connection (refused)".into());
    assert_eq!(reply(&mut model, Reply::Connected { ticket, result }), []);
    assert!(words(&model, 60, 18).contains("! no connection (refused); Enter again goes on all the same"));
    // another address is tried
    press(&mut model, KeyCode::Backspace);
    assert!(model.errors.is_empty());
    let Effect::Connect { address, .. } = enter(&mut model) else { panic!() };
    assert_eq!(address, "[::1]:700");
}

#[test]
fn the_same_address_once_more_goes_on_without_an_answer() {
    let mut model = model();
    type_text(&mut model, "bank.example:7000");
    let Effect::Connect { ticket, .. } = enter(&mut model) else { panic!() };
    reply(&mut model, Reply::Connected { ticket, result: Err("away".into()) });
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert_eq!(model.step, Step::Folder);
}

#[test]
fn nobody_gets_past_a_fingerprint_that_was_not_compared() {
    let mut model = at_fingerprint();
    assert!(words(&model, 60, 18).contains(&["AB"; 16].join(":")));
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert!(model.errors[&Field::Fingerprint].contains("Ctrl-Y"));
    update(&mut model, Msg::Paste("CD:".repeat(32)));
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert!(words(&model, 60, 18).contains("do not go on with it"));
    assert!(!model.compared && model.step == Step::Authority);
    // typed as it stands on the paper
    model.inputs.remove(&Field::Fingerprint);
    update(&mut model, Msg::Paste("ab ".repeat(32)));
    assert!(matches!(enter(&mut model), Effect::CheckRoster { .. }));
    // another file is another fingerprint
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.step, model.field(), model.compared), (Step::Authority, Some(Field::Authority), true));
    type_text(&mut model, "x");
    assert!(!model.compared && model.fingerprint.is_none() && model.value(Field::Fingerprint).is_empty());
    assert_eq!(control(&mut model, 'y'), [], "there is nothing to compare");
    assert!(matches!(enter(&mut model), Effect::Fingerprint { .. }));
}

#[test]
fn each_error_stands_at_its_field_and_typing_there_takes_it_away() {
    let mut model = at_folder();
    type_text(&mut model, "/nowhere");
    let Effect::FindFiles { ticket, .. } = enter(&mut model) else { panic!() };
    reply(&mut model, Reply::Found { ticket, result: Err("/nowhere is no folder".into()) });
    assert!(words(&model, 60, 18).contains("! /nowhere is no folder"));
    // without a folder each file is named
    model.inputs.remove(&Field::Folder);
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert_eq!(model.errors[&Field::Authority], "this is needed");
    type_text(&mut model, "ca.pem");
    let Effect::Fingerprint { ticket, .. } = enter(&mut model) else { panic!() };
    reply(&mut model, Reply::Fingerprint { ticket, result: Err("ca.pem: holds no certificate".into()) });
    assert!(words(&model, 60, 18).contains("! ca.pem: holds no certificate"));
    let Effect::Fingerprint { ticket, .. } = enter(&mut model) else { panic!() };
    reply(&mut model, Reply::Fingerprint { ticket, result: Ok(print()) });
    assert_eq!(control(&mut model, 'y'), [], "the roster is not known yet");
    type_text(&mut model, "roster.bin");
    press(&mut model, KeyCode::Tab);
    type_text(&mut model, "trust.json");
    let Effect::CheckRoster { ticket, .. } = enter(&mut model) else { panic!() };
    let result = Err((Which::Second, "trust.json: holds no key".into()));
    reply(&mut model, Reply::Roster { ticket, result });
    assert_eq!((model.step, model.field()), (Step::Roster, Some(Field::Trust)));
    let Effect::CheckRoster { ticket, .. } = enter(&mut model) else { panic!() };
    let result = Ok(("demo".into(), vec!["Bank1".into()]));
    assert_eq!(reply(&mut model, Reply::Roster { ticket, result }), []);
    type_text(&mut model, "tls.pem");
    press(&mut model, KeyCode::Down);
    type_text(&mut model, "tls.key");
    let Effect::CheckCertificate { ticket, .. } = enter(&mut model) else { panic!() };
    let result = Err((Which::Second, "mode 0644 lets others read this secret".into()));
    reply(&mut model, Reply::Certificate { ticket, result });
    assert!(words(&model, 60, 18).contains("! mode 0644 lets others read this secret"));
    press(&mut model, KeyCode::Backspace);
    assert!(model.errors.is_empty());
}

#[test]
fn esc_goes_back_and_drops_a_late_answer_and_ctrl_c_leaves_from_everywhere() {
    let mut model = at_folder();
    type_text(&mut model, "/m");
    let Effect::FindFiles { ticket, .. } = enter(&mut model) else { panic!() };
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.step, model.busy), (Step::Gateway, false));
    assert_eq!(reply(&mut model, Reply::Found { ticket, result: Ok(files()) }), []);
    assert_eq!(model.step, Step::Gateway, "the answer is of something that was given up");
    assert_eq!(press(&mut model, KeyCode::Esc), []);
    assert_eq!((model.step, model.end), (Step::Gateway, None));

    let (mut model, _) = at_summary();
    for step in [Step::Certificate, Step::Roster, Step::Authority, Step::Folder, Step::Gateway] {
        press(&mut model, KeyCode::Esc);
        assert_eq!(model.step, step);
        let mut leaving = model.clone();
        assert_eq!(control(&mut leaving, 'c'), []);
        assert_eq!(leaving.end, Some(End::Left));
    }
    let (mut model, _) = at_summary();
    press(&mut model, KeyCode::Right);
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert_eq!(model.end, Some(End::Left));
}

fn every_screen() -> Vec<Model> {
    let mut screens = vec![model(), at_folder(), at_fingerprint(), at_summary().0];
    let mut long = at_fingerprint();
    for field in [Field::Authority, Field::Fingerprint] {
        long.errors.insert(field, "a long sentence with all that may be wrong with it. ".repeat(3));
    }
    update(&mut long, Msg::Paste("/a/very/long/path".repeat(40)));
    screens.push(long.clone());
    for step in [Step::Roster, Step::Certificate] {
        screens.push(Model { step, place: 1, ..long.clone() });
    }
    screens
}

#[test]
fn every_screen_fits_every_terminal_and_shows_its_keys() {
    for model in every_screen() {
        for (width, height) in [(60, 18), (61, 19), (80, 24), (120, 40), (500, 200)] {
            let text = text(&drawn(&model, width, height));
            let foot = text.lines().last().unwrap();
            for key in keys(&model) {
                let shown = format!("{} {}", key.shown, key.label);
                assert!(foot.contains(&shown), "{shown} not in {foot:?} at {width}×{height}");
            }
            assert!(foot.contains("Ctrl-C leave"));
            assert!(text.contains(&format!("step {} of 6", model.step.number())));
        }
        // under that one line says so, whatever the size
        for (width, height) in [(59, 18), (60, 17), (20, 5), (1, 1), (0, 0), (500, 1)] {
            let text = text(&drawn(&model, width, height));
            assert!(text.lines().filter(|line| !line.trim().is_empty()).count() <= 1, "{text}");
        }
    }
}

#[test]
fn what_is_asked_for_can_be_seen_on_the_smallest_terminal() {
    for model in every_screen() {
        let words = words(&model, 60, 18);
        let label = match model.field() {
            Some(Field::Gateway) => "▸ Gateway (host:port)",
            Some(Field::Folder) => "▸ Folder",
            Some(Field::Fingerprint) => "▸ What your bank gave you",
            Some(Field::Trust) => "▸ Name and key of the network",
            Some(Field::PrivateKey) => "▸ Private key",
            _ => "[ Back ]",
        };
        assert!(words.contains(label), "{label} not in {words}");
    }
}

#[test]
fn without_colours_nothing_is_coloured_and_the_chosen_button_is_still_marked() {
    for mut model in every_screen() {
        model.theme = Theme::plain();
        let buffer = drawn(&model, 80, 24);
        assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        if model.step == Step::Summary {
            assert!(text(&buffer).contains("[ Back ]"));
        }
    }
}

/// Each step as it first stands, at both sizes, in colour and without.
#[test]
fn every_step_looks_as_agreed() {
    let steps =
        [Step::Gateway, Step::Folder, Step::Authority, Step::Roster, Step::Certificate, Step::Summary];
    for step in steps {
        for (mode, theme) in [("colour", Theme::sixteen()), ("plain", Theme::plain())] {
            let mut model = model();
            (model.theme, model.step) = (theme, step);
            model.fingerprint = Some(print());
            model.network = Some(("example".into(), vec!["Bank1".into(), "Bank2".into()]));
            for (width, height) in [(80, 24), (140, 45)] {
                let buffer = drawn(&model, width, height);
                let colours = buffer.content().iter().filter(|cell| cell.fg != Color::Reset).count();
                assert_eq!(colours == 0, mode == "plain", "{step:?}");
                let shown = format!("{}{colours} cells in colour\n", text(&buffer));
                insta::assert_snapshot!(format!("{step:?}_{width}x{height}_{mode}").to_lowercase(), shown);
            }
        }
    }
}
