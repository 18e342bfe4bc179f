//! What a customer does at the client's screen, step by step, with no keys but those that the screen shows at that
//! moment. What a step expects of the screen is said here and nowhere else.

use std::path::Path;

use strife_tui::ProcessState;

use crate::books::BANKS;
use crate::network::{HandedOut, TestNetwork};
use crate::terminal::{Key, Terminal};

/// A customer in front of a client.
pub struct Customer {
    /// The client in its terminal.
    pub terminal: Terminal,
}

impl Customer {
    /// Opens a client on a running demo, in a terminal of 140×40.
    pub fn at(network: &TestNetwork) -> Self {
        Self::at_with(network, &[], 140, 40)
    }

    /// The same with an environment, and in a terminal of another size.
    pub fn at_with(network: &TestNetwork, environment: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        let folder = network.dir().display().to_string();
        let arguments = ["client", "--data-dir", &folder];
        Self { terminal: Terminal::open(network.program(), &arguments, environment, columns, rows) }
    }

    /// Starts a whole demo with its client, as `cargo run` does.
    pub fn with_demo(program: &Path, data_dir: &Path) -> Self {
        let arguments = ["--data-dir", &data_dir.display().to_string()];
        Self { terminal: Terminal::open(program, &arguments, &[], 140, 40) }
    }

    /// Starts a client by itself, as `strife` is started, with this settings file or, if there is none yet, for the
    /// first time. It leaves the keyring of whoever runs the test alone.
    pub fn of(program: &Path, config: &Path, columns: u16, rows: u16) -> Self {
        let arguments = ["--config", &config.display().to_string()];
        let environment = [("STRIFE_CLIENT_KEYRING", "false")];
        Self { terminal: Terminal::open(program, &arguments, &environment, columns, rows) }
    }

    /// Answers what the first start asks, up to its last screen.
    pub fn answer_first_start(&self, given: &HandedOut) {
        let terminal = &self.terminal;
        terminal.wait_for("Where is the network?");
        terminal.type_text(&given.address);
        terminal.press_shown("go on");
        terminal.wait_for("What your bank gave you");
        terminal.paste(&given.folder.display().to_string());
        terminal.press_shown("go on");
        terminal.wait_for("Is it your bank's network?");
        terminal.wait_for(&given.fingerprint[..47]);
        terminal.paste(&given.fingerprint.to_lowercase());
        terminal.press_shown("go on");
        terminal.wait_for("Is this right?");
        terminal.wait_for("is gateway/gateway1, reaches Bank1, Bank2");
    }

    /// Has the settings written, which stands farthest from the button that is marked first.
    pub fn write_settings(&self) {
        for _ in ["Back", "Cancel"] {
            if !self.terminal.text().contains("[ Write ]") {
                let button = self.marked_button();
                self.terminal.press_shown("choose");
                self.terminal.wait_gone(&button);
            }
        }
        self.terminal.wait_for("[ Write ]");
        self.terminal.press_shown("press");
    }

    fn marked_button(&self) -> String {
        let text = self.terminal.wait("a marked button", |text| text.contains("[ "));
        let button =
            text.split_once("[ ").and_then(|(_, rest)| rest.split_once(" ]")).map(|(button, _)| button);
        format!("[ {} ]", button.unwrap())
    }

    /// Signs in at the first bank, with the password that the demo's log-in names.
    pub fn sign_in(&self, login: &str) {
        self.sign_in_at("Bank1", login);
    }

    /// Signs in at one of the two banks.
    pub fn sign_in_at(&self, bank: &str, login: &str) {
        self.terminal.key_for("sign in");
        if self.terminal.wait_marked(&BANKS) != bank {
            self.terminal.press_shown("bank");
            self.terminal.wait_marked(&[bank]);
        }
        self.terminal.type_text(login);
        self.terminal.press_shown("next");
        self.give_password(login);
        self.terminal.wait_for(&format!("{login}@{bank}"));
    }

    /// Signs in again where a session has ended: the name still stands there.
    pub fn sign_in_again(&self, login: &str) {
        self.terminal.press_shown("sign out");
        self.terminal.key_for("sign in");
        self.give_password(login);
    }

    fn give_password(&self, login: &str) {
        let terminal = &self.terminal;
        let password = login.replace("user", "pass");
        terminal.type_text(&password);
        let dots = "•".repeat(password.len());
        let text = terminal.wait_for(&dots);
        let line = text.lines().find(|line| line.contains(&dots)).unwrap();
        assert!(!line.contains(&password), "the password is not shown: {line}");
        terminal.press_shown("sign in");
        terminal.key_for("pay");
        terminal.wait_for("● live");
    }

    /// Pays; the order is on the disk when this returns.
    pub fn pay(&self, payee: &str, amount: &str, memo: &str) {
        self.begin_payment();
        self.fill_in(payee, amount, memo);
        self.terminal.press_shown("review");
        self.confirm();
        self.close_receipt();
    }

    /// Opens an empty transfer.
    pub fn begin_payment(&self) {
        self.terminal.press_shown("pay");
        self.terminal.key_for("review");
    }

    /// Fills a transfer in, from the payee to its last field.
    pub fn fill_in(&self, payee: &str, amount: &str, memo: &str) {
        let terminal = &self.terminal;
        for (place, text) in [payee, amount, memo].into_iter().enumerate() {
            if place > 0 {
                terminal.press_shown("next");
            }
            terminal.type_text(text);
            terminal.wait_for(text);
        }
    }

    /// Sends what the confirmation shows. It stands on Cancel: pressing Enter twice sends nothing.
    pub fn confirm(&self) {
        self.terminal.wait_for("[ Cancel ]");
        self.terminal.press_shown("mark Send");
        // for a moment after a key it cannot be chosen, and says so
        self.terminal.wait_for("[ Send ]");
        self.terminal.press_shown("choose");
        self.terminal.key_for("close");
    }

    /// Puts away what is shown of an order that was sent.
    pub fn close_receipt(&self) {
        self.terminal.press_shown("close");
        self.terminal.key_for("pay");
    }

    /// Opens the history of the first account, once it shows something.
    pub fn open_history(&self, shows: &str) {
        self.terminal.press_shown("history");
        self.terminal.key_for("filter");
        self.terminal.wait_for(shows);
    }

    /// In the history: all about the only movement that has these letters.
    pub fn open_movement(&self, letters: &str) {
        self.find(letters);
        self.terminal.press_shown("details");
        self.terminal.key_for("close");
    }

    /// In the history: shows only what has these letters.
    pub fn find(&self, letters: &str) {
        let terminal = &self.terminal;
        // what was looked for before goes
        terminal.press_shown("filter");
        terminal.press_shown("clear");
        terminal.press_shown("filter");
        terminal.key_for("clear");
        terminal.type_text(letters);
        terminal.wait_for(&format!("/ {letters}"));
        terminal.press_shown("apply");
    }

    /// Begins to give back the movement in sight, and types another amount over the one that stands there.
    pub fn begin_refund(&self, offered: &str, amount: &str) {
        let terminal = &self.terminal;
        terminal.press_shown("refund");
        terminal.key_for("review");
        terminal.wait_for(&format!("Amount   {offered}"));
        offered.chars().for_each(|_| terminal.press(Key::Backspace));
        terminal.type_text(amount);
        terminal.wait_for(&format!("Amount   {amount}"));
    }

    /// Goes through the last fields to the confirmation of what begins with the amount.
    pub fn review_refund(&self) {
        self.terminal.press_shown("review");
        self.terminal.wait_for("▸ Memo");
        self.terminal.press_shown("review");
    }

    /// Goes offline by hand.
    pub fn go_offline(&self) {
        self.terminal.press_shown("offline");
        self.terminal.wait("the word offline at the top", |text| first(text).contains("offline"));
    }

    /// Comes back.
    pub fn go_online(&self) {
        self.terminal.press_shown("offline");
        self.terminal.wait("the connection", |text| first(text).contains("online"));
    }

    /// Waits until the order of that amount stands in the queue with one of these states.
    pub fn wait_order(&self, amount: &str, states: &[&str]) {
        self.terminal.wait(&format!("{amount} {states:?}"), |text| {
            text.lines().any(|line| states.iter().any(|state| stands_before(line, state, amount)))
        });
    }

    /// Does something to a process in the demo's menu, where that process is chosen, and waits until the menu says
    /// what it does then.
    pub fn control(&self, name: &str, label: &str, becomes: &ProcessState) {
        self.terminal.press_shown("demo");
        self.terminal.press_shown(label);
        self.terminal.wait(&format!("{name} {}", becomes.words()), |text| {
            text.lines().any(|line| stands_before(line, name, becomes.words()))
        });
        self.terminal.press_shown("close");
        self.terminal.key_for("pay");
    }

    /// Cancels the order that stands first in the queue, which is the one made last.
    pub fn cancel_newest(&self) {
        self.terminal.press_shown("queue");
        self.terminal.press_shown("cancel");
        self.terminal.press_shown("back");
        self.terminal.key_for("pay");
    }
}

fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn stands_before(line: &str, word: &str, later: &str) -> bool {
    line.split_once(word).is_some_and(|(_, rest)| rest.contains(later))
}
