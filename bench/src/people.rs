//! People with keys of their own, signed in over a few client certificates. Their number and the money that they have
//! must never keep a transfer from being posted.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use strife_client::{AccountNumber, Api, BankName, ClientSettings, Currency, Money, Seams};
use strife_proto::batch::Roots;
use strife_proto::commit::{Key, TransferId};
use strife_proto::domain::{Order, ReceivedOrder};
use strife_proto::signing::{SigningKey, Tag, random};
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::world::{NETWORK, World};

/// Log-ins over one certificate: below what a gateway lets through in a minute.
const PEOPLE_PER_CLIENT: usize = 100;
/// How long a log-in may take, in milliseconds.
const LOGIN_MS_MAX: u64 = 60_000;
/// Where a session travels.
pub(crate) const AUTHORIZATION: &str = "authorization";
/// People who join at a time: below what waits for a bank's password checks.
const JOINING_MAX: usize = 32;
/// What each person has, in cents.
pub(crate) const MONEY: i64 = 1_000_000_000;

/// Somebody who is signed in.
pub(crate) struct Person {
    /// Their bank.
    pub bank: BankName,
    /// Their account.
    pub account: AccountNumber,
    /// Their connection to the gateway, shared with others of their group.
    pub channel: Channel,
    /// Whose certificate they use: an index of [`People::groups`].
    pub group: usize,
    /// The call's metadata of their session.
    pub bearer: MetadataValue<Ascii>,
    device: SigningKey,
}

/// Everybody.
pub(crate) struct People {
    /// By bank, as many at each.
    pub at: Vec<Vec<Person>>,
    /// The client certificates that they share.
    pub groups: Vec<ClientSettings>,
    /// What the statements of all banks are verified with.
    pub trust: strife_client::api::Trust,
    /// What is verified of them already.
    pub roots: Roots,
}

impl People {
    /// Adds people at all banks and signs all of them in.
    ///
    /// # Errors
    /// Fewer than two for each bank; a door refused what it should not.
    pub(crate) async fn sign_in(world: &World, count: usize) -> anyhow::Result<Self> {
        ensure!(count >= 2 * world.banks.len(), "{count} people are too few: each bank needs two");
        let settings = world.client("verifier")?;
        let trust = world.trust(&settings)?;
        let mut everybody = Self { at: Vec::new(), groups: Vec::new(), trust, roots: Roots::default() };
        for bank in &world.banks {
            let share = count / world.banks.len();
            let mut people = Vec::new();
            for first in (0..share).step_by(PEOPLE_PER_CLIENT) {
                let logins = first..share.min(first + PEOPLE_PER_CLIENT);
                let group = everybody.groups.len();
                let settings = world.client(&format!("people{group}"))?;
                people.extend(sign_in_group(world, bank, &settings, group, logins).await?);
                everybody.groups.push(settings);
            }
            everybody.at.push(people);
        }
        Ok(everybody)
    }

    /// Signs in somebody who is there already, over a certificate of their own.
    ///
    /// # Errors
    /// A door refused what it should not.
    pub(crate) async fn log_in(
        world: &World,
        bank: &BankName,
        login: &str,
        password: &str,
    ) -> anyhow::Result<Person> {
        let settings = world.client(login)?;
        let (api, channel) = (api(world, &settings)?, world.connect(&settings, false)?);
        let (bearer, device) = session(&api, bank, login, password).await?;
        let mut client = GatewayClient::new(channel.clone());
        let mut request = tonic::Request::new(v1::AccountsRequest {});
        request.metadata_mut().insert(AUTHORIZATION, bearer.clone());
        let accounts = client.accounts(request).await?.into_inner().accounts;
        let account = accounts.first().context("a person without an account")?.number.parse()?;
        // of no group: who is not among the people sends no orders
        Ok(Person { bank: bank.clone(), account, channel, group: usize::MAX, bearer, device })
    }

    /// Somebody.
    ///
    /// # Errors
    /// There is no such bank, or nobody at that place there.
    pub(crate) fn person(&self, (bank, place): (usize, usize)) -> anyhow::Result<&Person> {
        self.at.get(bank).and_then(|people| people.get(place)).context("there is no such person")
    }
}

async fn sign_in_group(
    world: &World,
    bank: &BankName,
    settings: &ClientSettings,
    group: usize,
    logins: std::ops::Range<usize>,
) -> anyhow::Result<Vec<Person>> {
    let api = Arc::new(api(world, settings)?);
    let (channel, admin) = (world.connect(settings, false)?, world.admin(bank)?);
    let mut joining = JoinSet::new();
    let mut people = Vec::new();
    for number in logins {
        if joining.len() >= JOINING_MAX {
            people.extend(joining.join_next().await.transpose()?.transpose()?);
        }
        let (api, channel, admin, bank) = (api.clone(), channel.clone(), admin.clone(), bank.clone());
        joining.spawn(async move { join(&api, (channel, group), admin, bank, number).await });
    }
    while let Some(person) = joining.join_next().await {
        people.push(person??);
    }
    Ok(people)
}

/// A gateway, as somebody with a certificate sees it.
fn api(world: &World, settings: &ClientSettings) -> anyhow::Result<Api> {
    Ok(Api::new(world.trust(settings)?, &world.gateway_address(), LOGIN_MS_MAX, Seams::of_this_machine()))
}

/// Begins a session with a new device.
async fn session(
    api: &Api,
    bank: &BankName,
    login: &str,
    password: &str,
) -> anyhow::Result<(MetadataValue<Ascii>, SigningKey)> {
    let device = SigningKey::from_seed(&random::<32>()?)?;
    let session = api.log_in(bank, login, Zeroizing::new(password.to_owned()), &device).await?;
    let bearer = format!("Bearer {}", session.token()).parse().context("a token that is no text")?;
    Ok((bearer, device))
}

async fn join(
    api: &Api,
    (channel, group): (Channel, usize),
    mut admin: v1::bank_admin_client::BankAdminClient<Channel>,
    bank: BankName,
    number: usize,
) -> anyhow::Result<Person> {
    let login = format!("p{number}");
    let password = format!("password {number}");
    let display_name = format!("Person {number}");
    admin
        .add_person(v1::AddPersonRequest { login: login.clone(), display_name, password: password.clone() })
        .await?;
    let request_id = || random::<16>().map(|id| Bytes::copy_from_slice(&id));
    let opened = v1::OpenAccountRequest {
        login: login.clone(),
        currency: "EUR".into(),
        name: "Everyday".into(),
        request_id: request_id()?,
    };
    let account = admin.open_account(opened).await?.into_inner().number;
    let cash = v1::CashEntryRequest {
        account: account.clone(),
        minor_units: MONEY,
        currency: "EUR".into(),
        reason: "bench".into(),
        request_id: request_id()?,
    };
    admin.cash_entry(cash).await?;
    let (bearer, device) = session(api, &bank, &login, &password).await?;
    Ok(Person { bank, account: account.parse()?, channel, group, bearer, device })
}

impl Person {
    /// A signed order of a cent to an account.
    ///
    /// # Errors
    /// Never for what this program makes.
    pub(crate) fn order(
        &self,
        (to, at): (AccountNumber, &BankName),
    ) -> anyhow::Result<(ReceivedOrder, v1::SubmitRequest)> {
        let now_ms = strife_client::now_ms();
        let order = Order {
            network: NETWORK.into(),
            key: Key { bank: self.bank.clone(), id: TransferId(*uuid::Uuid::now_v7().as_bytes()) },
            payer: self.account,
            payee: format!("{to}@{at}").parse()?,
            amount: Money::new(1, Currency::new("EUR")?)?,
            memo: String::new(),
            made_at_ms: now_ms,
            expires_at_ms: now_ms + 3_600_000,
            refund_of: None,
        };
        let received = ReceivedOrder::decode(order.encode())?;
        let signature = Some(self.device.sign(Tag::Order, received.bytes()));
        let signed = v1::SignedOrder { order: received.bytes().clone(), signature };
        Ok((received, v1::SubmitRequest { order: Some(signed), again: false }))
    }

    /// A call of this person's.
    pub(crate) fn call<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(AUTHORIZATION, self.bearer.clone());
        request
    }
}
