//! The sample world: people, accounts, money, some history. Made through the banks' own doors, and safe to be
//! interrupted: every step done twice changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use strife_certs::identity::Identity;
use strife_client::api::{Known, Trust};
use strife_client::device::{KeyFiles, device_key};
use strife_client::{Api, ClientSettings, Currency, Settings};
use strife_proto::Refusal;
use strife_proto::commit::{BankName, Key, TransferId};
use strife_proto::domain::{Money, Order, ReceivedOrder};
use strife_proto::signing::{Tag, sha256};
use strife_proto::v1;
use strife_proto::v1::bank_admin_client::BankAdminClient;
use strife_seams::Seams;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::admin;
use crate::layout::{BANKS, Layout, OPERATOR};

/// How much another bank may owe each of the two, in cents.
const CAP: i64 = 100_000_000;

/// Log-in name, name for the screen, and accounts: name, currency, minor units at the start.
type Sample = (&'static str, &'static str, &'static [(&'static str, &'static str, i64)]);

const PEOPLE: [Sample; 5] = [
    ("user1", "Una Okafor", &[("Everyday", "EUR", 100_000), ("Savings", "EUR", 500_000)]),
    ("user2", "Dov Lindqvist", &[("Everyday", "EUR", 80_000)]),
    ("user3", "Tri Nguyen", &[("Everyday", "EUR", 60_000), ("Dollars", "USD", 25_000)]),
    ("user4", "Qadira Haddad", &[("Everyday", "EUR", 40_000), ("Yen", "JPY", 30_000)]),
    ("user5", "Zoë Álvarez", &[("Everyday", "EUR", 20_000)]),
];

/// Payer's bank, payer, payee, cents, memo.
const HISTORY: [(&str, &str, &str, i64, &str); 6] = [
    ("Bank1", "user1", "user2@Bank2", 1_250, "Lunch on Tuesday"),
    ("Bank2", "user2", "user1@Bank1", 420, "Coffee, my turn"),
    ("Bank1", "user1", "user3@Bank1", 6_000, "Concert tickets"),
    ("Bank2", "user4", "user1@Bank1", 15_000, "Bicycle, second half"),
    ("Bank1", "user5", "user1@Bank1", 899, "Batteries"),
    ("Bank1", "user1", "user5@Bank2", 2_340, "Birthday present for Mo"),
];

/// A request id that is the same at every start.
fn request_id(what: &str) -> Bytes {
    Bytes::copy_from_slice(&sha256(what.as_bytes())[..16])
}

/// Calls again until the daemon answers, for as long as it may take to start.
async fn admin_of(layout: &Layout, index: usize) -> anyhow::Result<BankAdminClient<Channel>> {
    let bank = BankName::new(BANKS[index])?;
    let files = layout.network.files_of(&Identity::Operator { bank: bank.clone(), name: OPERATOR.into() });
    let (_, address) = layout.bank_addresses(index);
    Ok(admin::connect(&address, &bank, &layout.network.ca_file(), &files.certificate, &files.private_key)?)
}

/// Makes the sample world unless it is there.
///
/// # Errors
/// A door refused what it should not.
pub async fn seed(layout: &Layout) -> anyhow::Result<()> {
    let marker = layout.dir.join("seeded");
    if marker.exists() {
        return Ok(());
    }
    for index in 0..BANKS.len() {
        seed_bank(layout, index).await?;
    }
    seed_history(layout).await?;
    std::fs::write(marker, b"1\n")?;
    Ok(())
}

async fn seed_bank(layout: &Layout, index: usize) -> anyhow::Result<()> {
    let mut admin = admin_of(layout, index).await?;
    let bank = BANKS[index];
    for counterpart in BANKS.iter().filter(|other| **other != bank) {
        for currency in ["EUR", "USD", "JPY"] {
            let request = v1::SetSettlementCapRequest {
                counterpart: (*counterpart).to_owned(),
                currency: currency.to_owned(),
                cap: CAP,
            };
            admin.set_settlement_cap(request).await?;
        }
    }
    for (number, (login, display_name, accounts)) in PEOPLE.iter().enumerate() {
        let request = v1::AddPersonRequest {
            login: (*login).to_owned(),
            display_name: (*display_name).to_owned(),
            password: format!("pass{}", number + 1),
        };
        match admin.add_person(request).await {
            Ok(_) => {}
            Err(status) if Refusal::from_status(&status) == Some(Refusal::AlreadyExists) => {}
            Err(status) => return Err(status.into()),
        }
        for (name, currency, minor_units) in *accounts {
            let what = format!("{bank}/{login}/{name}");
            let request = v1::OpenAccountRequest {
                login: (*login).to_owned(),
                currency: (*currency).to_owned(),
                name: (*name).to_owned(),
                request_id: request_id(&format!("open/{what}")),
            };
            let account = admin.open_account(request).await?.into_inner().number;
            let request = v1::CashEntryRequest {
                account,
                minor_units: *minor_units,
                currency: (*currency).to_owned(),
                reason: "Opening deposit".to_owned(),
                request_id: request_id(&format!("cash/{what}")),
            };
            admin.cash_entry(request).await?;
        }
    }
    Ok(())
}

async fn seed_history(layout: &Layout) -> anyhow::Result<()> {
    let settings = ClientSettings::load(&layout.client_config())?;
    let api = Api::new(
        Trust::load(&settings)?,
        &layout.gateway_address(1),
        settings.rpc_ms,
        Seams::of_this_machine(),
    );
    let keys = KeyFiles::new(&layout.dir.join("client/sample-keys"));
    for (number, (bank, person, payee, cents, memo)) in HISTORY.iter().enumerate() {
        let bank = BankName::new(bank)?;
        let device = device_key(&keys, api.network(), &bank, person)?;
        let password = Zeroizing::new(person.replace("user", "pass"));
        let session = api.log_in(&bank, person, password, &device).await?;
        let accounts = api.accounts(&session).await?.accounts;
        let from = accounts.first().context("a sample person without an account")?;
        let now_ms = strife_client::now_ms();
        let mut id = [0; 16];
        id.copy_from_slice(&request_id(&format!("history/{number}")));
        let order = Order {
            network: api.network().to_owned(),
            key: Key { bank, id: TransferId(id) },
            payer: from.number.parse()?,
            payee: payee.parse()?,
            amount: Money::new(*cents, Currency::new("EUR")?)?,
            memo: (*memo).to_owned(),
            made_at_ms: now_ms,
            expires_at_ms: now_ms + 3_600_000,
            refund_of: None,
        };
        let order = ReceivedOrder::decode(order.encode())?;
        let signature = device.sign(Tag::Order, order.bytes());
        let mut again = false;
        loop {
            // a conflict means that an interrupted start has paid this before, with other bytes
            if let Known::Ended { .. } = api.submit(&session, &order, &signature, again).await? {
                break;
            }
            again = true;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api.log_out(&session).await?;
    }
    Ok(())
}

/// Waits until every bank answers its operator and the first gateway reaches every bank.
///
/// # Errors
/// They do not within `within`, or `alive` says why they never will.
pub async fn wait_ready(
    layout: &Layout,
    within: Duration,
    alive: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = ClientSettings::load(&layout.client_config())?;
    let trust = Trust::load(&settings)?;
    let wait = async {
        for index in 0..BANKS.len() {
            let mut admin = admin_of(layout, index).await?;
            while admin.report(v1::ReportRequest {}).await.is_err() {
                alive()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        for number in 1..=layout.ports.gateways.len() {
            let api = Api::new(
                trust.clone(),
                &layout.gateway_address(number),
                settings.rpc_ms,
                Seams::of_this_machine(),
            );
            loop {
                if let Ok(banks) = api.banks().await
                    && banks.len() == BANKS.len()
                    && banks.iter().all(|bank| bank.reachable)
                {
                    break;
                }
                alive()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(within, wait).await {
        Ok(result) => result,
        Err(_) => bail!("the network was not ready within {} s", within.as_secs()),
    }
}

/// Whether the sample world was made.
pub fn is_seeded(dir: &Path) -> bool {
    dir.join("seeded").exists()
}
