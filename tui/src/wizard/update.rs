//! The one function that changes the wizard. No I/O, no await: what is to be done comes back as effects.

use std::path::PathBuf;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use strife_client::doctor::network::Answer;
use strife_client::setup::{Files, Plan, Which, Wrong, same_fingerprint};
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use super::keys::{Action, action};
use super::model::{Button, End, Field, Model, Step};

/// Longest path or address, in characters; pasted megabytes end here.
const FIELD_CHARS_MAX: usize = 1_024;

/// What comes in.
#[derive(Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// The terminal has changed.
    Redraw,
    /// The terminal is gone, or a signal ends the program.
    Leave,
    /// A check was answered.
    Reply(Reply),
}

/// The answer to an effect, with its number.
#[derive(Debug)]
#[allow(missing_docs)] // each is the answer to the effect of the same name
pub enum Reply {
    Connected { ticket: u64, result: Result<(), String> },
    Found { ticket: u64, result: Result<Files, String> },
    Fingerprint { ticket: u64, result: Result<String, String> },
    Roster { ticket: u64, result: Result<(String, Vec<String>), Wrong> },
    Certificate { ticket: u64, result: Result<String, Wrong> },
    Greeted { ticket: u64, result: Result<Answer, String> },
    Written { ticket: u64, result: Result<(), String> },
}

impl Reply {
    fn ticket(&self) -> u64 {
        match self {
            Reply::Connected { ticket, .. }
            | Reply::Found { ticket, .. }
            | Reply::Fingerprint { ticket, .. }
            | Reply::Roster { ticket, .. }
            | Reply::Certificate { ticket, .. }
            | Reply::Greeted { ticket, .. }
            | Reply::Written { ticket, .. } => *ticket,
        }
    }
}

/// What is to be done; each has a number, which its answer brings back.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what is to be checked
pub enum Effect {
    /// Connect to an address.
    Connect { ticket: u64, address: String },
    /// Find the files in a folder.
    FindFiles { ticket: u64, dir: PathBuf },
    /// Read a certificate's fingerprint.
    Fingerprint { ticket: u64, authority: PathBuf },
    /// Verify the roster.
    CheckRoster { ticket: u64, roster: PathBuf, trust: PathBuf },
    /// Check certificate and key.
    CheckCertificate { ticket: u64, plan: Plan, network: String },
    /// Ask the gateway.
    Greet { ticket: u64, plan: Plan },
    /// Copy the files and write the settings.
    Write { ticket: u64, plan: Plan },
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
        Msg::Redraw => Vec::new(),
        Msg::Leave => {
            model.end = Some(End::Left);
            Vec::new()
        }
        Msg::Reply(reply) if reply.ticket() != model.ticket => Vec::new(),
        Msg::Reply(reply) => {
            model.busy = false;
            take(model, reply)
        }
    }
}

fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Leave => model.end = Some(End::Left),
        Action::Back => back(model),
        Action::Move(forward) => move_on(model, forward),
        Action::Compared => return believed(model),
        Action::Next if model.step == Step::Summary => return press(model),
        Action::Next => return next(model),
    }
    Vec::new()
}

/// Gives up what is being checked, and shows the screen before.
fn back(model: &mut Model) {
    model.ticket += 1;
    model.busy = false;
    if let Some(before) = model.step.before() {
        show(model, before);
    }
}

fn show(model: &mut Model, step: Step) {
    model.step = step;
    model.place = 0;
    model.button = Button::Back;
    model.write_error = None;
}

fn move_on(model: &mut Model, forward: bool) {
    let around = |at: usize, count: usize| (at + if forward { 1 } else { count - 1 }) % count.max(1);
    if model.step == Step::Summary {
        let at = Button::ALL.iter().position(|button| *button == model.button).unwrap_or(0);
        model.button = Button::ALL.get(around(at, Button::ALL.len())).copied().unwrap_or(Button::Back);
    } else {
        model.place = around(model.place, model.step.fields().len());
    }
}

/// Begins a check.
fn check(model: &mut Model, make: impl FnOnce(&Model, u64) -> Effect) -> Vec<Effect> {
    model.ticket += 1;
    model.busy = true;
    vec![make(model, model.ticket)]
}

fn wrong(model: &mut Model, field: Field, says: impl Into<String>) -> Vec<Effect> {
    model.errors.insert(field, says.into());
    if let Some(step) = Step::ALL.iter().find(|step| step.fields().contains(&field)) {
        model.step = *step;
        model.place = step.fields().iter().position(|other| *other == field).unwrap_or(0);
    }
    Vec::new()
}

/// The first field of this screen that is empty, said at it.
fn missing(model: &mut Model, fields: &[Field]) -> bool {
    let empty = fields.iter().find(|field| model.value(**field).is_empty()).copied();
    if let Some(field) = empty {
        wrong(model, field, "this is needed");
    }
    empty.is_some()
}

/// Whether this is `host:port`.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let whole = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    whole && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Checks what this screen asks for.
fn next(model: &mut Model) -> Vec<Effect> {
    if model.busy {
        return Vec::new();
    }
    model.errors.clear();
    let path = |model: &Model, field| PathBuf::from(model.value(field));
    match model.step {
        Step::Gateway => {
            let address = model.value(Field::Gateway).to_owned();
            if !is_address(&address) {
                return wrong(model, Field::Gateway, "an address is host:port, as in bank.example:7000");
            }
            if model.unanswered.as_ref() == Some(&address) {
                show(model, Step::Folder);
                return Vec::new();
            }
            check(model, |_, ticket| Effect::Connect { ticket, address })
        }
        Step::Folder if model.value(Field::Folder).is_empty() => {
            model.from_folder = false;
            show(model, Step::Authority);
            Vec::new()
        }
        Step::Folder => {
            check(model, |model, ticket| Effect::FindFiles { ticket, dir: path(model, Field::Folder) })
        }
        Step::Authority => next_authority(model),
        Step::Roster => check_roster(model),
        Step::Certificate => check_certificate(model),
        Step::Summary => Vec::new(),
    }
}

fn next_authority(model: &mut Model) -> Vec<Effect> {
    if missing(model, &[Field::Authority]) {
        return Vec::new();
    }
    let Some(print) = model.fingerprint.clone() else { return read_authority(model) };
    if model.compared {
        return believed(model);
    }
    let typed = model.value(Field::Fingerprint);
    if typed.is_empty() {
        let says = "type or paste what your bank gave you, or press Ctrl-Y once you have compared it";
        return wrong(model, Field::Fingerprint, says);
    }
    if !same_fingerprint(typed, &print) {
        let says = "this is another one: the file is not of your bank's network; do not go on with it";
        return wrong(model, Field::Fingerprint, says);
    }
    believed(model)
}

fn read_authority(model: &mut Model) -> Vec<Effect> {
    let authority = PathBuf::from(model.value(Field::Authority));
    check(model, |_, ticket| Effect::Fingerprint { ticket, authority })
}

/// The person has compared the fingerprint.
fn believed(model: &mut Model) -> Vec<Effect> {
    model.errors.clear();
    model.compared = true;
    show(model, Step::Roster);
    if model.from_folder { check_roster(model) } else { Vec::new() }
}

fn check_roster(model: &mut Model) -> Vec<Effect> {
    if missing(model, Step::Roster.fields()) {
        return Vec::new();
    }
    let Plan { files, .. } = model.plan();
    check(model, |_, ticket| Effect::CheckRoster { ticket, roster: files.roster, trust: files.trust })
}

fn check_certificate(model: &mut Model) -> Vec<Effect> {
    if missing(model, Step::Certificate.fields()) {
        return Vec::new();
    }
    let network = model.network.as_ref().map(|(network, _)| network.clone()).unwrap_or_default();
    check(model, |model, ticket| Effect::CheckCertificate { ticket, plan: model.plan(), network })
}

/// Takes the answer to a check.
fn take(model: &mut Model, reply: Reply) -> Vec<Effect> {
    match reply {
        Reply::Connected { result: Ok(()), .. } => {
            model.unanswered = None;
            show(model, Step::Folder);
            Vec::new()
        }
        Reply::Connected { result: Err(why), .. } => {
            model.unanswered = Some(model.value(Field::Gateway).to_owned());
            wrong(model, Field::Gateway, format!("{why}; Enter again goes on all the same"))
        }
        Reply::Found { result: Ok(files), .. } => {
            let found = [
                (Field::Authority, files.authority),
                (Field::Trust, files.trust),
                (Field::Roster, files.roster),
                (Field::Certificate, files.certificate),
                (Field::PrivateKey, files.private_key),
            ];
            for (field, path) in found {
                model.inputs.insert(field, Input::new(path.display().to_string()));
            }
            model.from_folder = true;
            forget_authority(model);
            show(model, Step::Authority);
            read_authority(model)
        }
        Reply::Found { result: Err(why), .. } => wrong(model, Field::Folder, why),
        Reply::Fingerprint { result: Ok(print), .. } => {
            model.fingerprint = Some(print);
            model.place = 1;
            Vec::new()
        }
        Reply::Fingerprint { result: Err(why), .. } => wrong(model, Field::Authority, why),
        Reply::Roster { result: Ok(network), .. } => {
            model.network = Some(network);
            show(model, Step::Certificate);
            if model.from_folder { check_certificate(model) } else { Vec::new() }
        }
        Reply::Roster { result: Err((which, why)), .. } => {
            let field = if which == Which::First { Field::Roster } else { Field::Trust };
            wrong(model, field, why)
        }
        Reply::Certificate { result: Ok(identity), .. } => {
            model.identity = Some(identity);
            model.gateway = None;
            show(model, Step::Summary);
            // it may take its time, and nothing has to wait for it
            let effects = check(model, |model, ticket| Effect::Greet { ticket, plan: model.plan() });
            model.busy = false;
            effects
        }
        Reply::Certificate { result: Err((which, why)), .. } => {
            let field = if which == Which::First { Field::Certificate } else { Field::PrivateKey };
            wrong(model, field, why)
        }
        Reply::Greeted { result, .. } => {
            model.gateway = Some(result.map(|answer| {
                let named = |(name, reachable): &(String, bool)| match reachable {
                    true => name.clone(),
                    false => format!("{name} (away)"),
                };
                let banks: Vec<String> = answer.banks.iter().map(named).collect();
                format!("is {}, reaches {}", answer.identity, banks.join(", "))
            }));
            Vec::new()
        }
        Reply::Written { result: Ok(()), .. } => {
            model.end = Some(End::Written);
            Vec::new()
        }
        Reply::Written { result: Err(why), .. } => {
            model.write_error = Some(why);
            model.button = Button::Back;
            Vec::new()
        }
    }
}

fn press(model: &mut Model) -> Vec<Effect> {
    match model.button {
        _ if model.busy => Vec::new(),
        Button::Back => {
            back(model);
            Vec::new()
        }
        Button::Cancel => {
            model.end = Some(End::Left);
            Vec::new()
        }
        Button::Write => {
            model.write_error = None;
            check(model, |model, ticket| Effect::Write { ticket, plan: model.plan() })
        }
    }
}

/// Another file is another certificate: its fingerprint is to be compared again.
fn forget_authority(model: &mut Model) {
    model.fingerprint = None;
    model.compared = false;
    model.inputs.remove(&Field::Fingerprint);
}

/// Whether text may be typed now; what was said about the field is of what stood there before.
fn begin_to_type(model: &mut Model) -> Option<Field> {
    let field = model.field().filter(|_| !model.busy)?;
    model.errors.remove(&field);
    Some(field)
}

fn typed(model: &mut Model, field: Field) {
    match field {
        Field::Gateway => model.unanswered = None,
        Field::Authority => forget_authority(model),
        _ => {}
    }
    if !matches!(field, Field::Gateway | Field::Folder | Field::Fingerprint) {
        model.from_folder = false;
    }
}

fn type_key(model: &mut Model, event: KeyEvent) {
    let Some(field) = begin_to_type(model) else { return };
    let input = model.inputs.entry(field).or_default();
    let before = input.value().to_owned();
    match event.code {
        KeyCode::Char(c) if event.modifiers.difference(KeyModifiers::SHIFT).is_empty() => {
            insert(input, c.encode_utf8(&mut [0; 4]));
        }
        _ => {
            input.handle_event(&Event::Key(event));
        }
    }
    if input.value() != before {
        typed(model, field);
    }
}

fn paste(model: &mut Model, text: &str) {
    let Some(field) = begin_to_type(model) else { return };
    insert(model.inputs.entry(field).or_default(), text.trim());
    typed(model, field);
}

fn insert(input: &mut Input, text: &str) {
    let room = FIELD_CHARS_MAX.saturating_sub(input.value().chars().count());
    for c in text.chars().filter(|c| !c.is_control()).take(room) {
        input.handle(InputRequest::InsertChar(c));
    }
}
