//! Fills a bank's data folder before the bank runs: a real writer and a real projector, asked by commands, without doors
//! before them. The journal is what a bank that had been asked all of it would have written, but for the devices'
//! signatures, which a bank verifies at its door.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc as answers};
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use bytes::Bytes;
use strife_bank::command::{Answer, Command, SignedOrder};
use strife_bank::journal::{OpenStore, PersonRow, Sqlite};
use strife_bank::ledger::PersonId;
use strife_bank::ledger::state::Own;
use strife_bank::open::Folder;
use strife_bank::passwords::{Cost, Passwords};
use strife_bank::projection::ProjectionReader;
use strife_bank::snapshot::keeper::take;
use strife_bank::writer::{Queued, Shared, Writer};
use strife_certs::keys::BankKeys;
use strife_proto::commit::{BankName, Key, TransferId};
use strife_proto::domain::{AccountNumber, Currency, Money, Order, ReceivedOrder};
use strife_proto::signing::PublicKey;
use strife_proto::v1;
use strife_seams::{Seams, SystemClock};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use crate::world::NETWORK;

/// Whose account has a long history, and with what they sign in.
pub(crate) const DEEP: &str = "deep";
pub(crate) const DEEP_PASSWORD: &str = "a long history";

/// Commands that are on their way together: the projections catch up after each such lot.
const CHUNK: u64 = 50_000;
/// Commands in one batch, as shipped.
const BATCH: usize = 1024;
/// People who pay, at most; everybody is paid.
const PAYERS_MAX: u64 = 10_000;
/// What payers have, in cents.
const MONEY: i64 = 1_000_000_000;
/// How long the orders and sessions in the journal live, in milliseconds.
const LIFE_MS: i64 = 3_600_000;

/// What a folder is filled with.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Fill {
    /// Accounts.
    #[arg(long)]
    pub accounts: u64,
    /// Entries of the journal, at least.
    #[arg(long)]
    pub entries: u64,
    /// Movements on the one account with a long history.
    #[arg(long)]
    pub depth: u64,
}

impl Fill {
    fn payers(self) -> u64 {
        PAYERS_MAX.min(self.accounts / 2).max(1)
    }

    /// What is on all accounts together, in cents.
    pub(crate) fn money(self) -> anyhow::Result<i64> {
        Ok(i64::try_from(self.payers())? * MONEY)
    }
}

/// Fills a data folder, takes a snapshot of it, and lists its accounts in a file, the one with the long history first.
///
/// # Errors
/// The folder cannot be written, or a command is refused.
pub(crate) fn fill(dir: &Path, keys_dir: &Path, bank: &str, fill: Fill, list: &Path) -> anyhow::Result<()> {
    let own = Own { bank: BankName::new(bank)?, network: NETWORK.to_owned() };
    let maker = Maker::open(dir, keys_dir, own.clone())?;
    let numbers = maker.people(fill.accounts)?;
    let payers = fill.payers();
    maker.fund(&numbers, payers)?;
    let left = fill.entries.saturating_sub(maker.position());
    maker.transfers(&numbers, payers, left.max(fill.depth), fill.depth)?;
    take(dir, &Sqlite, &own)?;
    maker.stop()?;
    fs::write(list, numbers.iter().map(|number| format!("{number}\n")).collect::<String>())?;
    Ok(())
}

/// A bank without doors.
struct Maker {
    own: Own,
    now_ms: i64,
    shared: Arc<Shared>,
    queue: mpsc::Sender<Queued>,
    projected: watch::Receiver<u64>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

/// Ids that differ by kind and number.
fn sixteen(kind: u8, number: u64) -> [u8; 16] {
    let mut id = [kind; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A payer's device, whose private half nobody has.
fn device(payer: u64) -> PublicKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&payer.to_be_bytes());
    PublicKey(key)
}

fn eur() -> anyhow::Result<Currency> {
    Ok(Currency::new("EUR")?)
}

impl Maker {
    fn open(dir: &Path, keys_dir: &Path, own: Own) -> anyhow::Result<Self> {
        let now_ms = strife_client::now_ms();
        let Folder { store, chain, state, projector, lock, .. } =
            Folder::open(dir, &Sqlite, own.clone(), now_ms)?;
        let (wake, woken) = watch::channel(0);
        let (queue, commands) = mpsc::channel(BATCH);
        let (projected, shared) = (projector.progress(), Arc::new(Shared::new(state)));
        let writer = Writer {
            store,
            chain,
            shared: shared.clone(),
            projections: ProjectionReader::open(dir, NETWORK)?,
            handover: projector.handover(),
            rows: Sqlite.reader(dir)?,
            projected: projected.clone(),
            key: BankKeys::load(keys_dir)?.signing,
            clock: Arc::new(SystemClock),
            batch_commands_max: BATCH,
            promises_per_payer_max: BATCH,
            wake,
        };
        let threads = vec![
            begin(async move {
                let ended = writer.run(commands).await;
                drop(lock);
                Ok(ended?)
            }),
            begin(async move { Ok(projector.run(woken).await?) }),
        ];
        Ok(Self { own, now_ms, shared, queue, projected, threads })
    }

    /// Position of the last entry.
    fn position(&self) -> u64 {
        self.shared.read().next_position - 1
    }

    /// A clean stop.
    fn stop(self) -> anyhow::Result<()> {
        drop(self.queue);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the journal's maker panicked"))??;
        }
        Ok(())
    }

    /// Carries out a command for each number, a lot at a time; the projections keep up.
    fn each(
        &self,
        count: u64,
        mut command: impl FnMut(u64) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Vec<Answer>> {
        let mut all = Vec::with_capacity(usize::try_from(count)?);
        for start in (0..count).step_by(usize::try_from(CHUNK)?) {
            let (sender, chunk) = answers::channel();
            for number in start..count.min(start + CHUNK) {
                let sender = sender.clone();
                // whoever asked has ended with an error
                let respond = Box::new(move |answer| drop(sender.send((number, answer))));
                let sent = self.queue.blocking_send((command(number)?, respond));
                sent.map_err(|_| anyhow::anyhow!("the writer has ended"))?;
            }
            drop(sender);
            let mut chunk: Vec<_> = chunk.into_iter().collect();
            chunk.sort_by_key(|(number, _)| *number);
            all.extend(chunk.into_iter().map(|(_, answer)| answer));
            self.settle()?;
        }
        match all.iter().find(|answer| matches!(answer, Answer::Refused(_) | Answer::Unavailable)) {
            Some(answer) => bail!("a command came to {answer:?}"),
            None => Ok(all),
        }
    }

    /// Waits until the projections hold everything.
    fn settle(&self) -> anyhow::Result<()> {
        let (mut projected, position) = (self.projected.clone(), self.position());
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(projected.wait_for(|reached| *reached >= position))?;
        Ok(())
    }

    /// Adds people with an account each, and returns the accounts in the order of the people.
    fn people(&self, count: u64) -> anyhow::Result<Vec<AccountNumber>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let passwords = Passwords::new(1, Seams::of_this_machine().work, Cost::Full)?;
        let deep = runtime.block_on(passwords.hash(Zeroizing::new(DEEP_PASSWORD.to_owned())))?;
        self.each(count, |n| {
            // nobody else of them ever signs in
            let password_hash =
                if n == 0 { deep.clone() } else { format!("$argon2id$v=19$m=19456,t=2,p=1${n:022}${n:043}") };
            let login = if n == 0 { DEEP.to_owned() } else { format!("made{n}") };
            let display_name = format!("Person {n}");
            Ok(Command::AddPerson(PersonRow {
                id: PersonId(sixteen(1, n)),
                login,
                display_name,
                password_hash,
            }))
        })?;
        let currency = eur()?;
        let opened = self.each(count, |n| {
            let (person, name) = (PersonId(sixteen(1, n)), "Everyday".to_owned());
            Ok(Command::OpenAccount { person, currency, name, request: sixteen(2, n) })
        })?;
        let number = |answer| match answer {
            Answer::Account(number) => Ok(number),
            other => bail!("no account was opened: {other:?}"),
        };
        opened.into_iter().map(number).collect()
    }

    /// Gives payers a device and money.
    fn fund(&self, numbers: &[AccountNumber], payers: u64) -> anyhow::Result<()> {
        let expires_at_ms = self.now_ms + LIFE_MS;
        self.each(payers, |n| {
            let (person, session) = (PersonId(sixteen(1, n)), sixteen(3, n));
            Ok(Command::SignIn { person, device: device(n), session, expires_at_ms })
        })?;
        let currency = eur()?;
        self.each(payers, |n| {
            Ok(Command::Cash {
                account: *numbers.get(usize::try_from(n)?).context("too few accounts")?,
                minor_units: MONEY,
                currency,
                reason: "opening".into(),
                operator: "bench".into(),
                request: sixteen(4, n),
            })
        })?;
        Ok(())
    }

    /// Payments from one after another of the payers to one after another of all: neighbours are paid together, so that
    /// the projections take minutes and not hours. Every so many go to the first account, until it has its depth.
    fn transfers(
        &self,
        numbers: &[AccountNumber],
        payers: u64,
        count: u64,
        depth: u64,
    ) -> anyhow::Result<()> {
        let (accounts, every) = (numbers.len() as u64, count / depth.max(1));
        let mut deep = 0;
        let currency = eur()?;
        self.each(count, |n| {
            // the first account never pays, lest it pay itself
            let payer = if payers > 1 { 1 + n % (payers - 1) } else { 0 };
            let pays_deep = deep < depth && n % every.max(1) == 0;
            deep += u64::from(pays_deep);
            let payee = if pays_deep { 0 } else { (n + payers / 2) % accounts };
            let payee = if payee == payer { (payee + 1) % accounts } else { payee };
            let account = |place| numbers.get(usize::try_from(place).unwrap_or(usize::MAX)).copied();
            let (from, to) = account(payer).zip(account(payee)).context("too few accounts")?;
            let order = Order {
                network: NETWORK.to_owned(),
                key: Key { bank: self.own.bank.clone(), id: TransferId(sixteen(5, n)) },
                payer: from,
                payee: format!("{to}@{}", self.own.bank).parse()?,
                amount: Money::new(1, currency)?,
                memo: String::new(),
                made_at_ms: self.now_ms,
                expires_at_ms: self.now_ms + LIFE_MS,
                refund_of: None,
            };
            let id = device(payer).id();
            let form = v1::signature::Form::Single(Bytes::from_static(&[9; 64]));
            let signature = v1::Signature { key_id: Bytes::copy_from_slice(&id.0), form: Some(form) };
            let order = Arc::new(ReceivedOrder::decode(order.encode())?);
            let order = SignedOrder { order, signature, signer: Some(id) };
            Ok(Command::Decide { order, vote: None, too_far: false })
        })?;
        Ok(())
    }
}

fn begin(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> JoinHandle<anyhow::Result<()>> {
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(work)
    })
}
