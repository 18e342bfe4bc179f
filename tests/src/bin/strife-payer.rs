//! A client without a screen for tests that kill it: signs in, queues payments, prints each id once the client
//! says "queued", and ends when every order in its outbox has ended.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use strife_client::{BankName, Client, ClientSettings, Currency, Money, Payment, Settings};
use zeroize::Zeroizing;

/// Queues payments and waits until all have ended.
#[derive(Debug, Parser)]
struct Arguments {
    /// The client's settings file.
    #[arg(long)]
    config: PathBuf,
    /// Where outbox and keys are.
    #[arg(long)]
    data_dir: PathBuf,
    /// The person's bank.
    #[arg(long)]
    bank: String,
    /// Log-in name.
    #[arg(long)]
    person: String,
    /// Password.
    #[arg(long)]
    password: String,
    /// Whom to pay, `name@Bank`.
    #[arg(long)]
    to: String,
    /// How many payments of a cent to queue; none to finish those that are queued.
    #[arg(long)]
    count: usize,
    /// Cancel the last one at once.
    #[arg(long)]
    cancel_last: bool,
    /// Take orders that have ended off the queue in the end.
    #[arg(long)]
    dismiss: bool,
}

/// How long everything may take.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    strife_faults::kill::this_process_is("client");
    strife_client::install_provider();
    let settings = ClientSettings::load(&arguments.config)?;
    let client = Client::start(ClientSettings { data_dir: arguments.data_dir.clone(), ..settings })?;
    let deadline = Instant::now() + WITHIN;
    let bank = BankName::new(&arguments.bank)?;
    loop {
        let password = Zeroizing::new(arguments.password.clone());
        match client.log_in(bank.clone(), &arguments.person, password, false).await {
            Ok(()) => break,
            Err(error) if Instant::now() > deadline => return Err(error).context("sign in"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let signed_in = client.wait_for(WITHIN, |view| {
        view.signed_in && view.profile.as_ref().is_some_and(|profile| !profile.accounts.is_empty())
    });
    let view = signed_in.await?;
    let from = view.profile.context("no profile")?.accounts[0].number.parse()?;
    let mut queued = Vec::new();
    for _ in 0..arguments.count {
        let amount = Money::new(1, Currency::new("EUR")?)?;
        let to = arguments.to.parse()?;
        let id = client.pay(Payment { from, to, amount, memo: "a cent".into(), refund_of: None }).await?;
        // whoever reads it may be gone
        let _ = writeln!(std::io::stdout(), "queued {id}");
        queued.push(id);
    }
    if let Some(id) = queued.last().filter(|_| arguments.cancel_last) {
        // the payment may have won already
        let _ = client.cancel(*id).await;
    }
    // a view may be older than what was queued last
    let all_ended = |view: &strife_client::view::View| {
        let shown = |id: &strife_client::TransferId| view.orders.iter().any(|order| order.id == *id);
        queued.iter().all(shown) && view.orders.iter().all(|order| order.state.is_ended())
    };
    if client.wait_for(WITHIN, all_ended).await.is_err() {
        bail!("not every order has ended: {:?}", client.view().borrow().orders);
    }
    for order in &client.view().borrow().orders.clone() {
        let _ = writeln!(std::io::stdout(), "ended {} {:?}", order.id, order.state);
    }
    if arguments.dismiss {
        client.dismiss_ended().await;
        client.wait_for(WITHIN, |view| view.orders.is_empty()).await?;
    }
    client.stop().await;
    Ok(())
}
