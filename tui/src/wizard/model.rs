//! All that the wizard knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use strife_client::setup::{Files, Plan};
use tui_input::Input;

use crate::theme::Theme;

/// One screen of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Where the network is.
    Gateway,
    /// A folder with everything, if there is one.
    Folder,
    /// The network's root certificate, and whether it is the right one.
    Authority,
    /// The banks' keys, and what they are verified with.
    Roster,
    /// The client's own certificate and key.
    Certificate,
    /// All of it, before it is written.
    Summary,
}

impl Step {
    /// All, in order.
    pub const ALL: [Step; 6] =
        [Self::Gateway, Self::Folder, Self::Authority, Self::Roster, Self::Certificate, Self::Summary];

    /// Its place, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// The one before.
    pub fn before(self) -> Option<Step> {
        (self as usize).checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }

    /// What it asks for, in the order of the screen.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Step::Gateway => &[Field::Gateway],
            Step::Folder => &[Field::Folder],
            Step::Authority => &[Field::Authority, Field::Fingerprint],
            Step::Roster => &[Field::Roster, Field::Trust],
            Step::Certificate => &[Field::Certificate, Field::PrivateKey],
            Step::Summary => &[],
        }
    }
}

/// Something that is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `host:port`.
    Gateway,
    /// A folder with everything.
    Folder,
    /// The network's root certificate.
    Authority,
    /// Its fingerprint, as the bank has said it.
    Fingerprint,
    /// The signed roster.
    Roster,
    /// The network's name and roster key.
    Trust,
    /// The client's certificate.
    Certificate,
    /// Its key.
    PrivateKey,
}

/// The buttons of the last screen, the harmless ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// A step back.
    Back,
    /// Leave; nothing is written.
    Cancel,
    /// Write the settings and go on to the log-in.
    Write,
}

impl Button {
    /// All, in order.
    pub const ALL: [Button; 3] = [Self::Back, Self::Cancel, Self::Write];

    /// What stands on it.
    pub fn label(self) -> &'static str {
        match self {
            Button::Back => "Back",
            Button::Cancel => "Cancel",
            Button::Write => "Write",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The person left; nothing is written.
    Left,
    /// The settings are written.
    Written,
}

/// The wizard's whole state.
#[derive(Clone, Debug)]
pub struct Model {
    /// Colours.
    pub theme: Theme,
    /// Where the settings will be.
    pub config: PathBuf,
    /// Where the outbox will be.
    pub data_dir: PathBuf,
    /// The screen.
    pub step: Step,
    /// Where one types, by its place among the screen's fields.
    pub place: usize,
    /// What was typed.
    pub inputs: BTreeMap<Field, Input>,
    /// What is wrong, at its field.
    pub errors: BTreeMap<Field, String>,
    /// What is wrong with the writing.
    pub write_error: Option<String>,
    /// What is being checked: an answer with another number is of something that was given up.
    pub ticket: u64,
    /// Something is being checked.
    pub busy: bool,
    /// The address that was tried and did not answer: once more goes on without an answer.
    pub unanswered: Option<String>,
    /// Everything was in one folder: its files are checked one after the other without asking.
    pub from_folder: bool,
    /// The fingerprint of the file that is named as the network's certificate.
    pub fingerprint: Option<String>,
    /// The person has compared it.
    pub compared: bool,
    /// Name of the network, and its banks.
    pub network: Option<(String, Vec<String>)>,
    /// Who this client is, in words.
    pub identity: Option<String>,
    /// What the gateway has said, or why it has not.
    pub gateway: Option<Result<String, String>>,
    /// The chosen button of the last screen.
    pub button: Button,
    /// Set at the end.
    pub end: Option<End>,
}

impl Model {
    /// The first screen.
    pub fn new(theme: Theme, config: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            theme,
            config,
            data_dir,
            step: Step::Gateway,
            place: 0,
            inputs: BTreeMap::new(),
            errors: BTreeMap::new(),
            write_error: None,
            ticket: 0,
            busy: false,
            unanswered: None,
            from_folder: false,
            fingerprint: None,
            compared: false,
            network: None,
            identity: None,
            gateway: None,
            button: Button::Back,
            end: None,
        }
    }

    /// The field that one types into.
    pub fn field(&self) -> Option<Field> {
        self.step.fields().get(self.place).copied()
    }

    /// What was typed into a field, without blanks around it and the quotes that a terminal puts around a file which
    /// is dropped on it.
    pub fn value(&self, field: Field) -> &str {
        let text = self.inputs.get(&field).map(Input::value).unwrap_or_default().trim();
        let unquoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        unquoted.unwrap_or(text)
    }

    /// What would be written.
    pub fn plan(&self) -> Plan {
        let path = |field| PathBuf::from(self.value(field));
        Plan {
            gateway: self.value(Field::Gateway).to_owned(),
            files: Files {
                authority: path(Field::Authority),
                trust: path(Field::Trust),
                roster: path(Field::Roster),
                certificate: path(Field::Certificate),
                private_key: path(Field::PrivateKey),
            },
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
        }
    }
}
