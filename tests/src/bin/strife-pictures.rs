//! Makes what `docs/using.md` is made of: a picture of each screen, from a running demo that is driven through its
//! sample world, and the tables of keys, from the client's own list. Can be run again at any time; what has not
//! changed on the screen does not change in the files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use strife_tests::customer::Customer;
use strife_tests::network::{TestNetwork, is_demo_call};
use strife_tests::picture::svg;
use strife_tests::using::{pictures, with_tables};

/// The terminal's size, in columns and rows.
const SIZE: (u16, u16) = (120, 36);
/// A small one.
const SMALL: (u16, u16) = (80, 24);
/// How long a screen stays the same before its picture is made.
const QUIET: Duration = Duration::from_millis(600);
/// The same after something was paid: short messages go away by themselves.
const LONG_QUIET: Duration = Duration::from_millis(7_500);

/// Draws the pictures and tables of docs/using.md.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of the page.
    #[arg(default_value = "docs")]
    docs: PathBuf,
    /// Leave the pictures as they are.
    #[arg(long)]
    tables_only: bool,
}

fn main() -> ExitCode {
    if is_demo_call() {
        return strife_demo::main();
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife-pictures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let path = arguments.docs.join("using.md");
    let page = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let page = with_tables(&page).map_err(|why| anyhow!("{}: {why}", path.display()))?;
    fs::write(&path, &page)?;
    if arguments.tables_only {
        return Ok(());
    }
    let mut album = Album { folder: arguments.docs.join("pictures"), made: BTreeSet::new() };
    fs::create_dir_all(&album.folder)?;
    tour(&mut album)?;
    album.throw_out_the_others()?;
    for shown in pictures(&page).into_iter().filter(|shown| !album.made.contains(*shown)) {
        eprintln!("strife-pictures: {shown} stands on the page and was not made");
    }
    let on_page: BTreeSet<&str> = pictures(&page).into_iter().collect();
    for made in album.made.iter().filter(|made| !on_page.contains(made.as_str())) {
        eprintln!("strife-pictures: {made} was made and does not stand on the page");
    }
    Ok(())
}

/// Where the pictures go.
struct Album {
    folder: PathBuf,
    /// As the page names them.
    made: BTreeSet<String>,
}

impl Album {
    fn take(&mut self, customer: &Customer, name: &str, title: &str, quiet: Duration) -> anyhow::Result<()> {
        let screen = customer.terminal.quiet(quiet);
        fs::write(self.folder.join(format!("{name}.svg")), svg(&screen, &format!("strife: {title}")))?;
        self.made.insert(format!("pictures/{name}.svg"));
        println!("{name}");
        Ok(())
    }

    /// Deletes pictures of screens that there are no more.
    fn throw_out_the_others(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_picture = Path::new(&name).extension().is_some_and(|extension| extension == "svg");
            if is_picture && !self.made.contains(&format!("pictures/{name}")) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// One walk through every screen.
fn tour(album: &mut Album) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.display().to_string();
    let network = TestNetwork::start(&program, 1);
    let customer = Customer::at_with(&network, &[("COLORTERM", "truecolor")], SIZE.0, SIZE.1);
    let terminal = &customer.terminal;
    terminal.wait_for("Bank2");
    terminal.key_for("sign in");
    album.take(&customer, "sign-in", "signing in", QUIET)?;
    customer.sign_in("user1");
    album.take(&customer, "accounts", "accounts", QUIET)?;
    around(album, &customer)?;

    customer.fill_in("user2@Bank2", "12.34", "Cinema");
    album.take(&customer, "transfer", "a transfer", QUIET)?;
    terminal.press_shown("review");
    terminal.key_for("choose");
    album.take(&customer, "confirmation", "is this right?", QUIET)?;
    customer.confirm();
    terminal.wait_for("credited");
    album.take(&customer, "receipt", "what has become of an order", LONG_QUIET)?;
    customer.close_receipt();

    terminal.press_shown("history");
    terminal.wait_for("-12.34");
    album.take(&customer, "history", "history", QUIET)?;
    terminal.press_shown("details");
    terminal.key_for("close");
    album.take(&customer, "movement", "one movement", QUIET)?;
    terminal.press_shown("close");
    terminal.press_shown("back");

    customer.go_offline();
    customer.pay("user3@Bank1", "7.50", "Tickets");
    customer.pay("user4@Bank1", "20.00", "Shared taxi");
    customer.wait_order("20.00", &["queued"]);
    terminal.press_shown("queue");
    terminal.key_for("cancel");
    album.take(&customer, "queue", "offline, with two orders in the queue", LONG_QUIET)?;
    terminal.resize(SMALL.0, SMALL.1);
    album.take(&customer, "small", "in a small terminal", QUIET)?;
    terminal.resize(SIZE.0, SIZE.1);
    terminal.press_shown("back");
    Ok(())
}

/// The screens that lie one key away from the accounts, where there is that key.
fn around(album: &mut Album, customer: &Customer) -> anyhow::Result<()> {
    let terminal = &customer.terminal;
    let places = [
        ("help", "help", "every key"),
        ("demo", "demo", "the demo's processes"),
        ("inbox", "inbox", "inbox"),
        ("settings", "settings", "settings"),
        ("commands", "palette", "every command"),
    ];
    for (label, name, title) in places {
        let shown = terminal.shown();
        let Some(there) = shown.iter().find(|shown| shown.label == label) else { continue };
        terminal.press(there.key);
        let away = terminal.key_for_one_of(&["close", "back"]);
        album.take(customer, name, title, QUIET)?;
        terminal.press(away);
        terminal.key_for("pay");
    }
    Ok(())
}
