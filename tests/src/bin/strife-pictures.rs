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
use strife_proto::domain::Order;
use strife_tests::customer::Customer;
use strife_tests::network::{TestNetwork, is_demo_call};
use strife_tests::people::Person;
use strife_tests::picture::svg;
use strife_tests::using::{pictures, with_tables};

/// The terminal's size, in columns and rows.
const SIZE: (u16, u16) = (126, 36);
/// A small one.
const SMALL: (u16, u16) = (80, 24);
/// What a terminal with true colour says.
const TRUE_COLOUR: (&str, &str) = ("COLORTERM", "truecolor");
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
    // as the client by itself
    if std::env::args().nth(1).is_some_and(|first| first == "--config") {
        return strife_tui::cli::main();
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
    let program = std::env::current_exe()?;
    first_start(album, &program)?;
    let network = TestNetwork::start(&program.display().to_string(), 1);
    let customer = Customer::at_with(&network, &[TRUE_COLOUR], SIZE.0, SIZE.1);
    let terminal = &customer.terminal;
    terminal.wait_for("Bank2");
    terminal.key_for("sign in");
    album.take(&customer, "sign-in", "signing in", QUIET)?;
    customer.sign_in("user1");
    album.take(&customer, "accounts", "accounts", QUIET)?;
    around(album, &customer)?;
    pay(album, &customer)?;
    receive(&network)?;
    terminal.press_shown("inbox");
    terminal.wait_for("30.00 EUR");
    album.take(&customer, "inbox", "inbox", LONG_QUIET)?;
    terminal.press_shown("details");
    terminal.key_for("close");
    album.take(&customer, "notice", "one item of the inbox", QUIET)?;
    terminal.press_shown("close");
    terminal.press_shown("back");
    look_back(album, &customer)?;
    wait_offline(album, &customer)
}

/// The first screen of the wizard, where there are no settings yet.
fn first_start(album: &mut Album, program: &Path) -> anyhow::Result<()> {
    let nowhere = tempfile::tempdir()?;
    let customer = Customer::of(program, &nowhere.path().join("client.toml"), SMALL.0, SMALL.1);
    customer.terminal.wait_for("Where is the network?");
    customer.terminal.type_text("gateway.bank.example:7000");
    customer.terminal.wait_for("example:7000");
    album.take(&customer, "wizard", "the first start", QUIET)?;
    customer.terminal.press_shown("leave");
    Ok(())
}

/// The screens that lie one key away from the accounts.
fn around(album: &mut Album, customer: &Customer) -> anyhow::Result<()> {
    let terminal = &customer.terminal;
    for (label, name, title) in [
        ("help", "help", "every key"),
        ("all", "palette", "every command"),
        ("settings", "settings", "settings"),
        ("demo", "demo", "the demo's processes"),
    ] {
        terminal.press_shown(label);
        let away = terminal.key_for_one_of(&["close", "back"]);
        album.take(customer, name, title, QUIET)?;
        terminal.press(away);
        terminal.key_for("pay");
    }
    Ok(())
}

/// From the first letters of a payee to the life of the order.
fn pay(album: &mut Album, customer: &Customer) -> anyhow::Result<()> {
    let terminal = &customer.terminal;
    customer.begin_payment();
    terminal.type_text("user");
    terminal.wait_for("Payees (");
    album.take(customer, "payees", "payees, as one types", QUIET)?;
    customer.fill_in("2@Bank2", "12.34", "Cinema");
    album.take(customer, "transfer", "a transfer", QUIET)?;
    terminal.press_shown("review");
    terminal.wait_for("[ Cancel ]");
    album.take(customer, "confirmation", "is this right?", QUIET)?;
    customer.confirm();
    terminal.wait_for("● credited");
    album.take(customer, "order", "what has become of an order", LONG_QUIET)?;
    customer.close_receipt();
    Ok(())
}

/// Somebody at the other bank pays the customer.
fn receive(network: &TestNetwork) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = network.api(0);
        let friend = Person::sign_in(&api, "Bank2", "user2").await;
        let order = Order { memo: "Half the taxi".into(), ..friend.order(&"user1@Bank1".parse()?, 3_000) };
        let (order, signature) = friend.sign(&order);
        api.submit(&friend.session, &order, &signature, false).await?;
        anyhow::Ok(())
    })?;
    Ok(())
}

/// The history, its filter, one movement in full, and a refund of it.
fn look_back(album: &mut Album, customer: &Customer) -> anyhow::Result<()> {
    let terminal = &customer.terminal;
    customer.open_history("+30.00");
    album.take(customer, "history", "history", QUIET)?;
    terminal.press_shown("filter");
    terminal.type_text("taxi");
    terminal.wait_for("/ taxi");
    album.take(customer, "filter", "the history, filtered", QUIET)?;
    terminal.press_shown("apply");
    terminal.press_shown("details");
    terminal.wait_for("● credited");
    album.take(customer, "movement", "one movement", QUIET)?;
    customer.begin_refund("30.00", "15.00");
    album.take(customer, "refund", "a refund of half", QUIET)?;
    terminal.press_shown("back");
    terminal.key_for("pay");
    Ok(())
}

/// Offline, with orders that wait, in a large terminal and in a small one.
fn wait_offline(album: &mut Album, customer: &Customer) -> anyhow::Result<()> {
    let terminal = &customer.terminal;
    customer.go_offline();
    customer.pay("user3@Bank1", "7.50", "Tickets");
    customer.pay("user4@Bank1", "20.00", "Shared taxi");
    customer.wait_order("20.00", &["queued"]);
    album.take(customer, "offline", "offline, with two orders that wait", LONG_QUIET)?;
    terminal.press_shown("queue");
    terminal.key_for("cancel");
    album.take(customer, "queue", "the queue", QUIET)?;
    terminal.resize(SMALL.0, SMALL.1);
    album.take(customer, "small", "in a small terminal", QUIET)?;
    Ok(())
}
