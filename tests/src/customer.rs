//! What a customer does at the client's screen, step by step, with no keys but those that the screen shows at that
//! moment. What a step expects of the screen is said here and nowhere else.

use std::path::Path;

use strife_tui::ProcessState;

use crate::network::TestNetwork;
use crate::terminal::Terminal;

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

    /// Signs in at the first bank, with the password that the demo's log-in names.
    pub fn sign_in(&self, login: &str) {
        self.terminal.wait_for("Bank1");
        self.terminal.key_for("sign in");
        self.terminal.type_text(login);
        self.terminal.press_shown("next");
        self.give_password(login);
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
        self.fill_in(payee, amount, memo);
        self.terminal.press_shown("review");
        self.confirm();
        self.close_receipt();
    }

    /// Fills a transfer in, up to its last field.
    pub fn fill_in(&self, payee: &str, amount: &str, memo: &str) {
        let terminal = &self.terminal;
        terminal.press_shown("pay");
        terminal.key_for("review");
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
