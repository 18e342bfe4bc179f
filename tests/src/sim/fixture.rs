//! What every simulation begins with, made once for the process: a network's certificates, banks with people,
//! accounts and money, sessions that last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message;
use strife_bank::journal::{Batch, Chain, PersonRow};
use strife_bank::ledger::entry::LedgerAccount;
use strife_bank::ledger::state::{Internal, Own, PersonId, State};
use strife_bank::ledger::{Entry, Kind, Leg, Overlay, apply};
use strife_bank::passwords::{Cost, Passwords};
use strife_certs::authority::{LEAF_DAYS, MemberFiles, Network};
use strife_certs::identity::Identity;
use strife_certs::keys::BankKeys;
use strife_client::api::Trust;
use strife_client::{ClientSettings, Session};
use strife_config::{BankSettings, GatewaySettings, Settings, TrustFiles};
use strife_daemon::token::{self, Claims, Confirmation, hex};
use strife_proto::commit::BankName;
use strife_proto::domain::{AccountNumber, Currency};
use strife_proto::journal::v1 as pb;
use strife_proto::signing::{SigningKey, sha256};
use strife_seams::Work;
use zeroize::Zeroizing;

use super::disk::Image;
use super::seams::BEGINS_AT_MS;
use crate::load::Person;

/// The network's name.
pub const NETWORK: &str = "sim";
/// Banks at the most; a simulation has the first two or all.
pub const BANKS: [&str; 3] = ["bank-a", "bank-b", "bank-c"];
/// Gateways.
pub const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];
/// People at each bank.
pub const PEOPLE_PER_BANK: usize = 3;
/// What each account begins with, in cents.
pub const OPENING: i64 = 40_000;
/// How much one bank may owe another, in cents.
pub const CAP: i64 = 5_000_000;
/// The same in simulations in which it matters, in cents: half of what an account begins with.
pub const TIGHT_CAP: i64 = 20_000;
/// Where a bank listens for gateways, and for operators.
pub const BANK_PORTS: (u16, u16) = (9001, 9002);
/// Where a gateway listens.
pub const GATEWAY_PORT: u16 = 9000;
/// How long the sessions that are there from the beginning last, in milliseconds (30 days).
const SESSION_MS: i64 = 30 * 86_400_000;

/// What every simulation begins with.
#[derive(Debug)]
pub struct Fixture {
    /// By bank.
    pub images: BTreeMap<BankName, Image>,
    /// Everybody.
    pub people: Vec<Person>,
    /// A bank's settings; the data folder is each simulation's own.
    pub banks: BTreeMap<BankName, BankSettings>,
    /// A gateway's settings.
    pub gateways: BTreeMap<&'static str, GatewaySettings>,
    /// The client's settings; the data folder is each simulation's own.
    pub client: ClientSettings,
    /// A gateway's certificate in the hands of somebody hostile.
    pub hostile: MemberFiles,
    /// The network's authority.
    pub authority: PathBuf,
    _dir: tempfile::TempDir,
}

/// The password of a person.
pub fn password_of(login: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("password of {login}"))
}

/// The fixture of this process.
pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(make)
}

fn make() -> Fixture {
    strife_client::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let network = Network::create(&dir.path().join("network"), NETWORK).unwrap();
    let names: Vec<BankName> = BANKS.iter().map(|name| BankName::new(name).unwrap()).collect();
    let mut banks = BTreeMap::new();
    for name in &names {
        let files = network.issue(&Identity::Bank(name.clone()), LEAF_DAYS).unwrap();
        banks.insert(name.clone(), bank_settings(&dir, &network, name, &files));
    }
    let mut gateways = BTreeMap::new();
    for name in GATEWAYS {
        let files = network.issue(&Identity::Gateway(name.into()), LEAF_DAYS).unwrap();
        gateways.insert(name, gateway_settings(&dir, &network, &files));
    }
    let hostile = network.issue(&Identity::Gateway("hostile".into()), LEAF_DAYS).unwrap();
    let files = network.issue(&Identity::Client("people".into()), LEAF_DAYS).unwrap();
    let client = client_settings(&dir, &network, &files);
    let trust = Trust::load(&client).unwrap();
    let (mut images, mut people) = (BTreeMap::new(), Vec::new());
    for name in &names {
        let keys = BankKeys::load(&banks[name].keys_dir).unwrap();
        let (image, own) = furnish(name, &names, &keys, &trust.client_key_hash);
        images.insert(name.clone(), image);
        people.extend(own);
    }
    let authority = network.ca_file();
    Fixture { images, people, banks, gateways, client, hostile, authority, _dir: dir }
}

fn trust_files(network: &Network) -> TrustFiles {
    TrustFiles { authority: network.ca_file(), trust: network.trust_file(), roster: network.roster_file() }
}

fn tables(network: &Network, files: &MemberFiles) -> String {
    let trust = trust_files(network);
    format!(
        "[tls]\ncertificate = {:?}\nprivate_key = {:?}\n[trust]\nauthority = {:?}\ntrust = {:?}\nroster = {:?}\n",
        files.certificate, files.private_key, trust.authority, trust.trust, trust.roster
    )
}

fn load<T: Settings>(dir: &tempfile::TempDir, name: &str, text: &str) -> T {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    T::load(&path).unwrap()
}

fn bank_settings(
    dir: &tempfile::TempDir,
    network: &Network,
    name: &BankName,
    files: &MemberFiles,
) -> BankSettings {
    let text = format!(
        "name = \"{name}\"\nlisten = \"0.0.0.0:{}\"\nadmin_listen = \"0.0.0.0:{}\"\ndata_dir = \"data\"\n\
         keys_dir = {:?}\nsnapshot_entries = 60\n{}[logs]\ndir = \"logs\"\n[limits]\nbatch_commands_max = 32\n",
        BANK_PORTS.0,
        BANK_PORTS.1,
        files.dir,
        tables(network, files)
    );
    load(dir, &format!("{name}.toml"), &text)
}

fn gateway_settings(dir: &tempfile::TempDir, network: &Network, files: &MemberFiles) -> GatewaySettings {
    let banks: String = BANKS.iter().map(|name| format!("{name} = \"{name}:{}\"\n", BANK_PORTS.0)).collect();
    let text = format!(
        "listen = \"0.0.0.0:{GATEWAY_PORT}\"\n{}[banks]\n{banks}[logs]\ndir = \"logs\"\n\
         [timeouts]\nprepare_ms = 600\ndecide_ms = 600\ndeliver_ms = 600\nconnect_ms = 500\nrpc_ms = 1500\n\
         [resolver]\ninterval_ms = 400\npromise_age_ms_max = 800\n\
         [limits]\nlogins_per_minute_max = 100000\n",
        tables(network, files)
    );
    load(dir, "gateway.toml", &text)
}

fn client_settings(dir: &tempfile::TempDir, network: &Network, files: &MemberFiles) -> ClientSettings {
    let addresses: Vec<String> = GATEWAYS.iter().map(|name| format!("{name}:{GATEWAY_PORT}")).collect();
    let text = format!(
        "gateways = {addresses:?}\ndata_dir = \"data\"\nkeyring = false\nrpc_ms = 3000\n\
         retry_ms_min = 100\nretry_ms_max = 1000\n{}",
        tables(network, files)
    );
    load(dir, "client.toml", &text)
}

/// One more batch for an image, which sets this cap for every other bank.
pub fn with_caps(own: &BankName, image: &Image, cap: i64) -> Batch {
    let mut chain = Chain::default();
    for batch in &image.batches {
        chain.advance(batch).unwrap();
    }
    let currency = Currency::new("EUR").unwrap();
    let others = BANKS.iter().map(|name| BankName::new(name).unwrap()).filter(|name| name != own);
    let entries: Vec<_> = others
        .map(|counterpart| {
            let kind = Kind::CapSet { counterpart, currency, cap, operator: "op".into() };
            Entry { at_ms: BEGINS_AT_MS, legs: Vec::new(), kind }.to_wire()
        })
        .collect();
    let count = entries.len() as u64;
    chain.extend(Bytes::from(pb::Batch { entries }.encode_to_vec()), count)
}

/// A bank's durable image with people, accounts, money and caps; and its people.
fn furnish(
    bank: &BankName,
    all: &[BankName],
    keys: &BankKeys,
    client_key_hash: &[u8; 32],
) -> (Image, Vec<Person>) {
    let own = Own { bank: bank.clone(), network: NETWORK.to_owned() };
    let mut state = State::new(own);
    let mut image = Image::default();
    let mut people = Vec::new();
    let mut entries = Vec::new();
    let mut overlay = Overlay::over(&state, 0);
    let euro = Currency::new("EUR").unwrap();
    let mut record = |overlay: &mut Overlay<'_>, legs: Vec<Leg>, kind: Kind| {
        let entry = Entry { at_ms: BEGINS_AT_MS, legs, kind };
        apply(overlay, &entry).unwrap();
        entries.push(entry);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for number in 1..=PEOPLE_PER_BANK {
        let login = format!("person{number}");
        let seed = sha256(format!("{bank} {login}").as_bytes());
        let id = PersonId(seed[..16].try_into().unwrap());
        let device = SigningKey::from_seed(&seed).unwrap();
        let passwords = Passwords::new(1, Work::InPlace, Cost::Simulated).unwrap();
        let row = PersonRow {
            id,
            login: login.clone(),
            display_name: login.clone(),
            password_hash: runtime.block_on(passwords.hash(password_of(&login))).unwrap(),
        };
        image.people.push(row);
        let none = Vec::new;
        record(
            &mut overlay,
            none(),
            Kind::PersonAdded { person: id, row_digest: Bytes::from_static(b"row") },
        );
        record(&mut overlay, none(), Kind::DeviceAdded { person: id, public: *device.public() });
        let account = AccountNumber::from_body(overlay.next_account_body).unwrap();
        let request = sha256(format!("open {login}").as_bytes())[..16].try_into().unwrap();
        let opened = Kind::AccountOpened {
            number: account,
            person: id,
            currency: euro,
            name: Arc::from("Everyday"),
            request,
        };
        record(&mut overlay, none(), opened);
        let legs = vec![
            Leg { account: LedgerAccount::Customer(account), minor_units: OPENING },
            Leg { account: LedgerAccount::Internal(Internal::Cash, euro), minor_units: -OPENING },
        ];
        let request = sha256(format!("cash {login}").as_bytes())[..16].try_into().unwrap();
        let cash = Kind::Cash { account, reason: "opening".into(), operator: "op".into(), request };
        record(&mut overlay, legs, cash);
        let session_id: [u8; 16] =
            sha256(format!("session {bank} {login}").as_bytes())[..16].try_into().unwrap();
        let ends_at_ms = BEGINS_AT_MS + SESSION_MS;
        image.sessions.insert(session_id, (id, ends_at_ms));
        let claims = Claims {
            iss: bank.to_string(),
            aud: bank.to_string(),
            sub: login.clone(),
            sid: hex(&session_id),
            cnf: Confirmation { spki: hex(client_key_hash) },
            iat: BEGINS_AT_MS / 1000,
            exp: ends_at_ms / 1000,
        };
        let token = token::issue(&claims, &keys.token_pkcs8).unwrap();
        let session = Session::from_token(bank.clone(), &login, token);
        people.push(Person { login, bank: bank.clone(), account, device: Arc::new(device), session });
    }
    for counterpart in all.iter().filter(|name| *name != bank) {
        let cap = Kind::CapSet {
            counterpart: counterpart.clone(),
            currency: euro,
            cap: CAP,
            operator: "op".into(),
        };
        record(&mut overlay, Vec::new(), cap);
    }
    let changes = overlay.into_changes();
    state.merge(changes);
    let wire = pb::Batch { entries: entries.iter().map(Entry::to_wire).collect() };
    let batch = Chain::default().extend(Bytes::from(wire.encode_to_vec()), entries.len() as u64);
    image.batches.push(batch);
    (image, people)
}
