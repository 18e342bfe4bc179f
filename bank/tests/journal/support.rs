//! A bank without doors: a real folder with a real writer and projector, asked by commands.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use strife_bank::command::{Answer, Command, Said, SignedOrder};
use strife_bank::journal::reader::JournalRead;
use strife_bank::journal::{OpenStore, PersonRow, Sqlite};
use strife_bank::ledger::PersonId;
use strife_bank::ledger::state::Own;
use strife_bank::open::Folder;
use strife_bank::projection::ProjectionReader;
use strife_bank::writer::{Queued, Shared, Writer};
use strife_proto::commit::{BankName, Key, TransferId, Verdict, Vote};
use strife_proto::domain::{AccountNumber, Currency, Money, Order, ReceivedOrder};
use strife_proto::signing::{SigningKey, Tag};
use strife_proto::statement::{Statement, Word};
use strife_seams::Clock;
use tokio::sync::{mpsc, watch};

pub const NETWORK: &str = "test";
pub const POSTED: Word = Word::Outcome(Verdict::Posted);

/// Commands in one batch.
const BATCH: usize = 64;

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        1_000
    }
}

pub fn own(bank: &str) -> Own {
    Own { bank: BankName::new(bank).unwrap(), network: NETWORK.into() }
}

pub fn eur() -> Currency {
    Currency::new("EUR").unwrap()
}

/// The signing key of a bank.
pub fn key_of(bank: &str) -> SigningKey {
    SigningKey::from_seed(&[*bank.as_bytes().last().unwrap(); 32]).unwrap()
}

fn device() -> SigningKey {
    SigningKey::from_seed(&[200; 32]).unwrap()
}

/// A statement of a bank about an order.
pub fn said(bank: &str, order: &ReceivedOrder, word: Word) -> Said {
    let (key, hash) = (order.key().clone(), order.hash());
    let bank_name = BankName::new(bank).unwrap();
    let statement = Statement { word, bank: bank_name, key, hash, at_ms: 0, position: 1 };
    let wire = statement.sign(NETWORK, &key_of(bank));
    Said { statement, wire }
}

/// An order that came signed.
pub fn signed(order: &Arc<ReceivedOrder>) -> SignedOrder {
    let signature = device().sign(Tag::Order, order.bytes());
    SignedOrder { order: order.clone(), signature, signer: Some(device().public().id()) }
}

pub fn decide(order: &Arc<ReceivedOrder>, vote: Option<Word>) -> Command {
    let vote = vote.map(|word| {
        let Word::Vote(vote) = word else { panic!("not a vote") };
        (vote, said(order.order().payee.bank.as_str(), order, word))
    });
    Command::Decide { order: signed(order), vote, too_far: false }
}

pub const YES: Word = Word::Vote(Vote::Yes);

/// A running bank.
pub struct Bank {
    pub name: &'static str,
    pub shared: Arc<Shared>,
    rows: Box<dyn JournalRead>,
    queue: mpsc::Sender<Queued>,
    projected: watch::Receiver<u64>,
    threads: Vec<JoinHandle<()>>,
    next_id: u64,
}

impl Bank {
    pub fn open(name: &'static str, dir: &Path) -> Self {
        Self::with_batches(name, dir, BATCH)
    }

    pub fn with_batches(name: &'static str, dir: &Path, batch_commands_max: usize) -> Self {
        let Folder { store, chain, state, projector, lock, .. } =
            Folder::open(dir, &Sqlite, own(name), 0).unwrap();
        let (wake, woken) = watch::channel(0);
        let (queue, commands) = mpsc::channel(batch_commands_max);
        let projected = projector.progress();
        let shared = Arc::new(Shared::new(state));
        let writer = Writer {
            store,
            chain,
            shared: shared.clone(),
            projections: ProjectionReader::open(dir, NETWORK).unwrap(),
            handover: projector.handover(),
            rows: Sqlite.reader(dir).unwrap(),
            projected: projected.clone(),
            key: key_of(name),
            clock: Arc::new(FixedClock),
            batch_commands_max,
            promises_per_payer_max: 1_000,
            wake,
        };
        let begin = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
            })
        };
        let threads = vec![
            begin(Box::pin(async move {
                writer.run(commands).await.unwrap();
                drop(lock);
            })),
            begin(Box::pin(async move { projector.run(woken).await.unwrap() })),
        ];
        Self { name, shared, rows: Sqlite.reader(dir).unwrap(), queue, projected, threads, next_id: 0 }
    }

    /// Asks for everything, waits for all answers, and returns them in order.
    pub fn ask_all(&self, commands: impl IntoIterator<Item = Command>) -> Vec<Answer> {
        let (sender, answers) = std::sync::mpsc::channel();
        for (index, command) in commands.into_iter().enumerate() {
            let sender = sender.clone();
            let respond = Box::new(move |answer| sender.send((index, answer)).unwrap());
            assert!(self.queue.blocking_send((command, respond)).is_ok());
        }
        drop(sender);
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    pub fn ask(&self, command: Command) -> Answer {
        self.ask_all([command]).remove(0)
    }

    /// Asks, and has the answer be no refusal.
    pub fn must(&self, command: Command) -> Answer {
        let answer = self.ask(command);
        assert!(!matches!(answer, Answer::Refused(_) | Answer::Unavailable), "{answer:?}");
        answer
    }

    /// Waits until the projections hold everything.
    pub fn settle(&self) {
        self.settle_to(self.position());
    }

    /// Waits until the projections hold a position.
    pub fn settle_to(&self, position: u64) {
        let mut projected = self.projected.clone();
        let wait = projected.wait_for(|reached| *reached >= position);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(wait).unwrap();
    }

    /// Position of the last entry.
    pub fn position(&self) -> u64 {
        self.shared.read().next_position - 1
    }

    /// A clean stop.
    pub fn stop(self) {
        drop((self.queue, self.rows));
        for thread in self.threads {
            thread.join().unwrap();
        }
    }

    /// A person with a device, an account, and money on it.
    pub fn person(&mut self, login: &str, cents: i64) -> AccountNumber {
        let (id, [open, cash]) = (self.id(), [self.id(), self.id()]);
        let row = PersonRow {
            id: PersonId(id),
            login: login.into(),
            display_name: format!("{login} of {}", self.name),
            password_hash: "$argon2id$none".into(),
        };
        self.must(Command::AddPerson(row));
        let person = PersonId(id);
        let name = "Everyday".to_owned();
        let opened = self.must(Command::OpenAccount { person, currency: eur(), name, request: open });
        let Answer::Account(number) = opened else { panic!("no account") };
        if cents > 0 {
            self.must(Command::Cash {
                account: number,
                minor_units: cents,
                currency: eur(),
                reason: "test".into(),
                operator: "op".into(),
                request: cash,
            });
        }
        number
    }

    pub fn accounts_of(&self, login: &str) -> Vec<AccountNumber> {
        let person = self.who(login);
        self.shared.read().people[&person].accounts.to_vec()
    }

    fn who(&self, login: &str) -> PersonId {
        self.rows.person(login).unwrap().unwrap().id
    }

    /// Has a person's device registered, which is the one that signs every order here.
    pub fn sign_in(&mut self, login: &str) {
        let person = self.who(login);
        let (device, session) = (*device().public(), self.id());
        self.must(Command::SignIn { person, device, session, expires_at_ms: 1_000_000 });
    }

    pub fn cap(&self, counterpart: &str, cap: i64) {
        let counterpart = BankName::new(counterpart).unwrap();
        self.must(Command::SetCap { counterpart, currency: eur(), cap, operator: "op".into() });
    }

    /// An order of a payer at this bank.
    pub fn order(&mut self, payer: AccountNumber, payee: &str, cents: i64) -> Arc<ReceivedOrder> {
        let order = Order {
            network: NETWORK.into(),
            key: Key { bank: BankName::new(self.name).unwrap(), id: TransferId(self.id()) },
            payer,
            payee: payee.parse().unwrap(),
            amount: Money::new(cents, eur()).unwrap(),
            memo: "a test".into(),
            made_at_ms: 0,
            expires_at_ms: 1_000_000,
            refund_of: None,
        };
        Arc::new(ReceivedOrder::decode(order.encode()).unwrap())
    }

    pub fn id(&mut self) -> [u8; 16] {
        self.next_id += 1;
        let mut id = [0; 16];
        // a bank that is opened again goes on with other ids
        id[..8].copy_from_slice(&self.shared.read().next_position.to_be_bytes());
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        id
    }
}

/// A refund by Ann of a payment from Bank2.
pub fn refund(bank: &mut Bank, of: &ReceivedOrder, cents: i64) -> Arc<ReceivedOrder> {
    let payer = bank.accounts_of("ann")[0];
    let plain = bank.order(payer, &format!("{}@Bank2", of.order().payer), cents);
    let order = Order { refund_of: Some(of.key().clone()), ..plain.order().clone() };
    Arc::new(ReceivedOrder::decode(order.encode()).unwrap())
}

/// Everything that a bank can record, at Bank1 with Bank2 as the other: posted and declined, owed and acknowledged,
/// void, cancelled, promised, posted with and without a promise, in suspense, released, refunded.
pub fn some_of_everything(bank: &mut Bank) -> Vec<Arc<ReceivedOrder>> {
    use strife_proto::commit::{Acknowledgement, Code, Placement};
    let tag = bank.shared.read().next_position;
    let bob = format!("bob{tag}");
    bank.person(&bob, 0);
    if tag == 1 {
        bank.person("ann", 100_000);
        bank.sign_in("ann");
    }
    let payer = bank.accounts_of("ann")[0];
    bank.cap("Bank2", 1_000_000);
    let mut orders = Vec::new();
    for cents in [1, 2, 3, 200_000] {
        let order = bank.order(payer, &format!("{bob}@Bank1"), cents);
        bank.must(decide(&order, None));
        orders.push(order);
    }
    let forged = bank.order(payer, &format!("{bob}@Bank1"), 5);
    let forgery = SignedOrder { signer: None, ..signed(&forged) };
    bank.must(Command::Decide { order: forgery, vote: None, too_far: false });
    let cancelled = bank.order(payer, "user2@Bank2", 6);
    bank.must(Command::Cancel(signed(&cancelled)));
    let (owed, acknowledged) = (bank.order(payer, "user2@Bank2", 7), bank.order(payer, "user2@Bank2", 8));
    for order in [&owed, &acknowledged] {
        bank.must(decide(order, Some(YES)));
    }
    let credited = Word::Acknowledgement(Acknowledgement::Credited(Placement::Account));
    bank.must(Command::Acknowledge(said("Bank2", &acknowledged, credited)));
    orders.extend([forged, cancelled, owed, acknowledged]);
    // at the payee's bank
    let theirs = AccountNumber::from_body(5_000_000_001).unwrap();
    let incoming = |bank: &mut Bank, payee: &str, cents| {
        let order = bank.order(theirs, payee, cents);
        let mut order = order.order().clone();
        order.key.bank = BankName::new("Bank2").unwrap();
        Arc::new(ReceivedOrder::decode(order.encode()).unwrap())
    };
    let to = format!("{bob}@Bank1");
    let [open, posted, released] = [11, 12, 13].map(|cents| incoming(bank, &to, cents));
    for order in [&open, &posted, &released] {
        bank.must(Command::Prepare(signed(order)));
    }
    bank.must(Command::Post { order: posted.clone(), said: said("Bank2", &posted, POSTED) });
    let no = said("Bank2", &released, Word::Outcome(Verdict::Declined(Code::Cancelled)));
    bank.must(Command::Release { order: released.clone(), said: no });
    let [unpromised, nobody] = [(to.as_str(), 14), ("nobody@Bank1", 15)].map(|(to, c)| incoming(bank, to, c));
    for order in [&unpromised, &nobody] {
        bank.must(Command::Post { order: order.clone(), said: said("Bank2", order, POSTED) });
    }
    orders.extend([open, posted, released, unpromised, nobody]);
    let paid = incoming(bank, "ann@Bank1", 16);
    bank.must(Command::Prepare(signed(&paid)));
    bank.must(Command::Post { order: paid.clone(), said: said("Bank2", &paid, POSTED) });
    let refunds = [9, 8].map(|cents| refund(bank, &paid, cents));
    for order in &refunds {
        bank.must(decide(order, Some(YES)));
    }
    orders.push(paid);
    orders.extend(refunds);
    orders
}
