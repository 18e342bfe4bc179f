//! The writer on a real journal, and on one that fails.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use strife_proto::commit::{BankName, Code, Key, TransferId, Verdict, Vote};
use strife_proto::domain::{AccountNumber, Currency, Money, Order, ReceivedOrder};
use strife_proto::signing::{KeyId, SigningKey, Tag};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;

use super::*;
use crate::command::{Said, SignedOrder};
use crate::journal::chain::Batch as Row_;
use crate::journal::{Durability, OpenStore, PersonRow, Sqlite, SqliteStore};
use crate::ledger::PersonId;
use crate::ledger::state::{Own, SessionId};
use crate::open::Folder;
use crate::projection::Projector;
use crate::service::admin::report;

/// A clock that a test sets.
#[derive(Debug, Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A journal whose disk can be full, and that remembers how many batches it has made durable.
#[derive(Debug)]
struct TestStore {
    inner: Box<dyn Store>,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    durable: Arc<Mutex<u64>>,
}

#[tonic::async_trait]
impl Store for TestStore {
    async fn write(&mut self, batch: &Row_, rows: &[Row]) -> Result<(), AppendError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(AppendError::Full(rusqlite::Error::InvalidQuery));
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(AppendError::Fatal(rusqlite::Error::InvalidQuery));
        }
        self.inner.write(batch, rows).await?;
        *self.durable.lock().unwrap() += 1;
        Ok(())
    }

    fn durability(&self) -> rusqlite::Result<Option<Durability>> {
        self.inner.durability()
    }

    fn digest(&self, row: &PersonRow) -> Bytes {
        self.inner.digest(row)
    }

    fn sessions(&self) -> rusqlite::Result<Vec<(SessionId, PersonId, i64)>> {
        self.inner.sessions()
    }

    fn forget_sessions(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        self.inner.forget_sessions(now_ms)
    }
}

mod refunds;

struct TestBank {
    writer: Writer,
    eviction: Eviction,
    projector: Projector,
    clock: Arc<TestClock>,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    durable: Arc<Mutex<u64>>,
    device: SigningKey,
    _woken: watch::Receiver<u64>,
    dir: tempfile::TempDir,
    next_id: u8,
}

const ANN: PersonId = PersonId([1; 16]);
const BOB: PersonId = PersonId([2; 16]);

fn bank(name: &str) -> BankName {
    BankName::new(name).unwrap()
}

fn own() -> Own {
    Own { bank: bank("Bank1"), network: "test".into() }
}

fn other_key() -> SigningKey {
    SigningKey::from_seed(&[2; 32]).unwrap()
}

impl TestBank {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(dir: tempfile::TempDir) -> Self {
        let Folder { store, chain, state, projector, lock, .. } =
            Folder::open(dir.path(), &Sqlite, own(), 0).unwrap();
        drop(lock);
        let (wake, woken) = watch::channel(0);
        let (full, durable) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
        let clock = Arc::new(TestClock::default());
        let broken = Arc::new(AtomicBool::new(false));
        let store =
            TestStore { inner: store, full: full.clone(), broken: broken.clone(), durable: durable.clone() };
        let writer = Writer {
            store: Box::new(store),
            chain,
            shared: Arc::new(Shared::new(state)),
            projections: ProjectionReader::open(dir.path(), "test").unwrap(),
            handover: projector.handover(),
            rows: Sqlite.reader(dir.path()).unwrap(),
            projected: projector.progress(),
            key: SigningKey::from_seed(&[1; 32]).unwrap(),
            clock: clock.clone(),
            batch_commands_max: 64,
            promises_per_payer_max: 2,
            wake,
        };
        let device = SigningKey::from_seed(&[3; 32]).unwrap();
        let eviction = Eviction::default();
        Self {
            writer,
            eviction,
            projector,
            clock,
            full,
            broken,
            durable,
            device,
            _woken: woken,
            dir,
            next_id: 0,
        }
    }

    /// Stops and starts again from the disk.
    fn restart(self) -> Self {
        let next_id = self.next_id;
        let Self { writer, projector, dir, .. } = self;
        drop((writer, projector));
        Self { next_id, ..Self::open(dir) }
    }

    /// Carries out commands as one batch.
    fn batch(&mut self, commands: Vec<Command>) -> Vec<Answer> {
        let answers = Arc::new(Mutex::new(vec![Answer::Unavailable; commands.len()]));
        let queued = commands.into_iter().enumerate().map(|(at, command)| -> Queued {
            let answers = answers.clone();
            (command, Box::new(move |answer| answers.lock().unwrap()[at] = answer))
        });
        self.carry_out(queued.collect());
        Arc::try_unwrap(answers).unwrap().into_inner().unwrap()
    }

    fn carry_out(&mut self, queued: Vec<Queued>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.writer.carry_out(queued, &mut self.eviction)).unwrap();
    }

    fn ask(&mut self, command: Command) -> Answer {
        self.batch(vec![command]).remove(0)
    }

    /// Ann and Bob with an account each; Ann's holds `cents`, the other bank may owe `cap`.
    fn with_people(cents: i64, cap: i64) -> (Self, AccountNumber, AccountNumber) {
        let mut bank_ = Self::new();
        let row = |id, login: &str| PersonRow {
            id,
            login: login.into(),
            display_name: login.into(),
            password_hash: "x".into(),
        };
        let eur = Currency::new("EUR").unwrap();
        let mut numbers = Vec::new();
        for (person, login, request) in [(ANN, "ann", [10; 16]), (BOB, "bob", [11; 16])] {
            assert_eq!(bank_.ask(Command::AddPerson(row(person, login))), Answer::Noted);
            let open = Command::OpenAccount { person, currency: eur, name: "Everyday".into(), request };
            let Answer::Account(number) = bank_.ask(open.clone()) else { panic!("no account") };
            assert_eq!(bank_.ask(open), Answer::Account(number), "the same request opens nothing twice");
            numbers.push(number);
        }
        let cash = Command::Cash {
            account: numbers[0],
            minor_units: cents,
            currency: eur,
            reason: "test".into(),
            operator: "op".into(),
            request: [12; 16],
        };
        let Answer::Position(position) = bank_.ask(cash.clone()) else { panic!("no cash") };
        assert_eq!(bank_.ask(cash), Answer::Position(position), "the same request books nothing twice");
        let device = *bank_.device.public();
        let sign_in = Command::SignIn { person: ANN, device, session: [9; 16], expires_at_ms: 1_000_000 };
        assert_eq!(bank_.ask(sign_in), Answer::Noted);
        let counterpart = bank("Bank2");
        let set = Command::SetCap { counterpart, currency: eur, cap, operator: "op".into() };
        assert!(matches!(bank_.ask(set), Answer::Position(_)));
        (bank_, numbers[0], numbers[1])
    }

    fn order(
        &mut self,
        payer_bank: &str,
        payer: AccountNumber,
        payee: &str,
        cents: i64,
    ) -> Arc<ReceivedOrder> {
        self.next_id += 1;
        let order = Order {
            network: "test".into(),
            key: Key { bank: bank(payer_bank), id: TransferId([self.next_id; 16]) },
            payer,
            payee: payee.parse().unwrap(),
            amount: Money::new(cents, Currency::new("EUR").unwrap()).unwrap(),
            memo: "test".into(),
            made_at_ms: 0,
            expires_at_ms: 1_000,
            refund_of: None,
        };
        Arc::new(ReceivedOrder::decode(order.encode()).unwrap())
    }

    fn signed(&self, order: &Arc<ReceivedOrder>) -> SignedOrder {
        let signature = self.device.sign(Tag::Order, order.bytes());
        SignedOrder { order: order.clone(), signature, signer: Some(self.device.public().id()) }
    }

    fn decide(&self, order: &Arc<ReceivedOrder>, vote: Option<Vote>) -> Command {
        let vote = vote.map(|vote| (vote, said(order, "Bank2", Word::Vote(vote))));
        Command::Decide { order: self.signed(order), vote, too_far: false }
    }

    fn balance(&self, number: AccountNumber) -> (i64, i64) {
        let state = self.writer.shared.read();
        let account = &state.accounts[&number];
        (account.posted, account.incoming)
    }

    fn check(&self) {
        let state = self.writer.shared.read();
        for currency in state.currencies() {
            assert_eq!(state.sum(currency), 0);
        }
    }

    fn report(&self) -> v1::ReportReply {
        report(&self.writer.shared.read(), |_| String::new())
    }
}

/// A statement of the other bank, verified as far as the writer knows.
fn said(order: &ReceivedOrder, by: &str, word: Word) -> Said {
    let statement = Statement {
        word,
        bank: bank(by),
        key: order.key().clone(),
        hash: order.hash(),
        at_ms: 0,
        position: 1,
    };
    let wire = statement.sign("test", &other_key());
    Said { statement, wire }
}

fn word(answer: &Answer) -> Word {
    match answer {
        Answer::Statement(wire) | Answer::Outcome(wire, _) => Statement::read(wire, "test").unwrap().word,
        other => panic!("no statement: {other:?}"),
    }
}

const POSTED: Word = Word::Outcome(Verdict::Posted);

fn declined(code: Code) -> Word {
    Word::Outcome(Verdict::Declined(code))
}

#[test]
fn two_payments_in_one_batch_cannot_spend_the_same_money() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let orders: Vec<_> = (0..3).map(|_| bank.order("Bank1", ann, "bob@Bank1", 60)).collect();
    let commands = orders.iter().map(|order| bank.decide(order, None)).collect();
    let words: Vec<Word> = bank.batch(commands).iter().map(word).collect();
    assert_eq!(words, [POSTED, declined(Code::InsufficientFunds), declined(Code::InsufficientFunds)]);
    assert_eq!(bank.balance(ann).0, 40);
    bank.check();
}

#[test]
fn fifty_copies_in_one_batch_and_more_later_and_after_a_restart_are_one_transfer() {
    let (mut bank, ann, bob) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "bob@Bank1", 60);
    let answers = bank.batch((0..50).map(|_| bank.decide(&order, None)).collect());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let first = answers[0].clone();
    // once the projections have it, it leaves memory, and is looked up
    bank.projector.catch_up().unwrap();
    assert_eq!(bank.ask(Command::SignOut([0; 16])), Answer::Noted);
    assert!(bank.writer.shared.read().payers.is_empty(), "decided keys leave memory");
    assert_eq!(bank.ask(bank.decide(&order, None)), first);
    assert!(bank.writer.shared.read().payers.is_empty(), "and a look-up does not keep them there");
    let before = bank.report();
    let mut bank = bank.restart();
    assert_eq!(bank.report(), before, "replay gives the same state");
    assert_eq!(bank.ask(bank.decide(&order, None)), first);
    assert_eq!((bank.balance(ann).0, bank.balance(bob).0), (40, 60));
    bank.check();
}

#[test]
fn an_administrators_request_is_carried_out_once_in_memory_in_the_projections_and_after_a_restart() {
    let (mut bank_, ann, _) = TestBank::with_people(1_000, 0);
    let eur = Currency::new("EUR").unwrap();
    let opens =
        |person, request| Command::OpenAccount { person, currency: eur, name: "Everyday".into(), request };
    let pays_in = |request| Command::Cash {
        account: ann,
        minor_units: 500,
        currency: eur,
        reason: "again".into(),
        operator: "op".into(),
        request,
    };
    let cash = bank_.ask(pays_in([20; 16]));
    let (before, money) = (bank_.ask(opens(ANN, [10; 16])), bank_.balance(ann));
    assert_eq!(before, Answer::Account(ann));
    let check = |bank_: &mut TestBank| {
        let again = vec![opens(ANN, [10; 16]), pays_in([20; 16]), opens(ANN, [20; 16]), pays_in([10; 16])];
        let out_of_place = Answer::Refused(Refusal::OutOfPlace);
        assert_eq!(bank_.batch(again), [before.clone(), cash.clone(), out_of_place.clone(), out_of_place]);
        assert_eq!(bank_.balance(ann), money);
        let login = PersonRow {
            id: PersonId([9; 16]),
            login: "ann".into(),
            display_name: "Another".into(),
            password_hash: "x".into(),
        };
        assert_eq!(bank_.ask(Command::AddPerson(login)), Answer::Refused(Refusal::AlreadyExists));
    };
    check(&mut bank_);
    bank_.projector.catch_up().unwrap();
    check(&mut bank_);
    assert!(bank_.writer.shared.read().requests.is_empty(), "memory has let go of them");
    check(&mut bank_.restart());
}

#[test]
fn nobody_is_answered_before_the_batch_is_durable() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "bob@Bank1", 60);
    let before = *bank.durable.lock().unwrap();
    let (durable, seen) = (bank.durable.clone(), Arc::new(Mutex::new(None)));
    let noted = seen.clone();
    let respond: Respond = Box::new(move |_| *noted.lock().unwrap() = Some(*durable.lock().unwrap()));
    let command = bank.decide(&order, None);
    bank.carry_out(vec![(command, respond)]);
    assert_eq!(*seen.lock().unwrap(), Some(before + 1));
}

#[test]
fn a_full_disk_changes_nothing_answers_unknown_and_is_got_over() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "bob@Bank1", 60);
    let before = bank.report();
    bank.full.store(true, Ordering::Relaxed);
    assert_eq!(bank.ask(bank.decide(&order, None)), Answer::Unavailable);
    assert_eq!(bank.report(), before);
    bank.full.store(false, Ordering::Relaxed);
    assert_eq!(word(&bank.ask(bank.decide(&order, None))), POSTED);
    bank.check();
    let after = bank.report();
    assert_eq!(bank.restart().report(), after);
}

#[test]
fn an_error_of_the_journal_ends_the_writer_and_answers_nobody() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "bob@Bank1", 60);
    bank.broken.store(true, Ordering::Relaxed);
    let answered = Arc::new(AtomicBool::new(false));
    let noted = answered.clone();
    let respond: Respond = Box::new(move |_| noted.store(true, Ordering::Relaxed));
    let queued = vec![(bank.decide(&order, None), respond)];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(bank.writer.carry_out(queued, &mut bank.eviction));
    assert!(matches!(result, Err(WriterError::Append(AppendError::Fatal(_)))));
    assert!(!answered.load(Ordering::Relaxed));
}

#[test]
fn the_payees_bank_promises_within_the_cap_and_the_money_comes_once() {
    let (mut bank, ann, _) = TestBank::with_people(100, 150);
    let payer = AccountNumber::from_body(5_000_000_001).unwrap();
    let one = bank.order("Bank2", payer, "ann@Bank1", 100);
    let two = bank.order("Bank2", payer, "ann@Bank1", 51);
    let yes = bank.ask(Command::Prepare(bank.signed(&one)));
    assert_eq!(word(&yes), Word::Vote(Vote::Yes));
    assert_eq!(bank.ask(Command::Prepare(bank.signed(&one))), yes, "the same vote again");
    assert_eq!(
        word(&bank.ask(Command::Prepare(bank.signed(&two)))),
        Word::Vote(Vote::No(Code::SettlementCap))
    );
    assert_eq!(bank.balance(ann), (100, 100), "promised, not spendable");
    let post = Command::Post { order: one.clone(), said: said(&one, "Bank2", POSTED) };
    let credited = bank.ask(post.clone());
    assert_eq!(bank.batch(vec![post.clone(), post.clone()]), [credited.clone(), credited.clone()]);
    assert_eq!(bank.balance(ann), (200, 0));
    // still one once memory has let it go, and after a restart
    bank.projector.catch_up().unwrap();
    bank.ask(Command::SignOut([0; 16]));
    assert!(bank.writer.shared.read().payees.is_empty());
    assert_eq!(bank.ask(post.clone()), credited);
    let mut bank = bank.restart();
    assert_eq!(bank.ask(post), credited);
    assert_eq!(bank.balance(ann), (200, 0));
    bank.check();
}

#[test]
fn a_release_ends_the_promise_and_refuses_a_late_prepare_but_never_what_is_posted() {
    let (mut bank, ann, _) = TestBank::with_people(100, 1_000);
    let payer = AccountNumber::from_body(5_000_000_001).unwrap();
    let order = bank.order("Bank2", payer, "ann@Bank1", 100);
    bank.ask(Command::Prepare(bank.signed(&order)));
    let no = said(&order, "Bank2", declined(Code::Cancelled));
    let release = Command::Release { order: order.clone(), said: no };
    bank.ask(release.clone());
    assert_eq!(bank.balance(ann), (100, 0));
    assert_eq!(word(&bank.ask(Command::Prepare(bank.signed(&order)))), Word::Vote(Vote::No(Code::Released)));
    // a validly signed posted always ends as money, a tombstone or not
    let post = Command::Post { order: order.clone(), said: said(&order, "Bank2", POSTED) };
    let credited = bank.ask(post.clone());
    assert_eq!(bank.balance(ann), (200, 0));
    // with the projections between the two records, memory must not forget the later one
    bank.projector.catch_up().unwrap();
    assert_eq!(bank.batch(vec![post.clone(), post]), [credited.clone(), credited]);
    assert_eq!(bank.ask(release), Answer::Refused(Refusal::Contradiction));
    assert_eq!(bank.balance(ann), (200, 0));
    bank.check();
}

#[test]
fn money_for_an_account_that_is_not_there_goes_to_suspense() {
    let (mut bank, _, _) = TestBank::with_people(100, 1_000);
    let payer = AccountNumber::from_body(5_000_000_001).unwrap();
    let order = bank.order("Bank2", payer, "nobody@Bank1", 100);
    let vote = bank.ask(Command::Prepare(bank.signed(&order)));
    assert_eq!(word(&vote), Word::Vote(Vote::No(Code::UnknownAccount)));
    let posted = said(&order, "Bank2", POSTED);
    bank.ask(Command::Post { order: order.clone(), said: posted });
    let suspense =
        bank.report().balances.into_iter().find(|balance| balance.account == "suspense:EUR").unwrap();
    assert_eq!(suspense.posted, 100);
    bank.check();
}

#[test]
fn an_outcome_is_owed_until_the_payees_bank_itself_acknowledges_what_was_decided() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "user2@Bank2", 60);
    assert_eq!(word(&bank.ask(bank.decide(&order, Some(Vote::Yes)))), POSTED);
    assert_eq!(bank.report().unacknowledged, 1);
    use strife_proto::commit::{Acknowledgement, Placement};
    let credited = Word::Acknowledgement(Acknowledgement::Credited(Placement::Account));
    let released = Word::Acknowledgement(Acknowledgement::Released);
    let refused = Answer::Refused(Refusal::OutOfPlace);
    assert_eq!(bank.ask(Command::Acknowledge(said(&order, "Bank3", credited))), refused);
    assert_eq!(bank.ask(Command::Acknowledge(said(&order, "Bank2", released))), refused);
    assert_eq!(bank.ask(Command::Acknowledge(said(&order, "Bank2", credited))), Answer::Noted);
    assert_eq!(bank.report().unacknowledged, 0);
    let Answer::Outcome(_, Some(_)) = bank.ask(bank.decide(&order, Some(Vote::Yes))) else {
        panic!("the acknowledgement stands beside the outcome")
    };
    let before = bank.report();
    assert_eq!(bank.restart().report(), before);
}

#[test]
fn a_void_takes_nothing_from_the_key_and_stays_void() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let order = bank.order("Bank1", ann, "bob@Bank1", 60);
    let forged = SignedOrder { signer: None, ..bank.signed(&order) };
    let decide = |order: SignedOrder| Command::Decide { order, vote: None, too_far: false };
    let void = bank.ask(decide(forged));
    assert_eq!(word(&void), Word::Void);
    bank.projector.catch_up().unwrap();
    bank.ask(Command::SignOut([0; 16]));
    assert_eq!(bank.ask(bank.decide(&order, None)), void, "also when it comes with a good signature");
    let mut other = order.order().clone();
    other.memo = "the honest one".into();
    let other = Arc::new(ReceivedOrder::decode(other.encode()).unwrap());
    assert_eq!(word(&bank.ask(bank.decide(&other, None))), POSTED);
    let mut bank = bank.restart();
    assert_eq!(bank.ask(bank.decide(&order, None)), void);
    let stranger = SignedOrder { signer: Some(KeyId([7; 16])), ..bank.signed(&other) };
    assert_eq!(word(&bank.ask(decide(stranger))), POSTED, "a recorded outcome replays whoever asks");
}

#[test]
fn expiry_is_by_the_banks_own_clock_and_a_cancel_or_a_payment_wins_never_both() {
    let (mut bank, ann, _) = TestBank::with_people(100, 0);
    let late = bank.order("Bank1", ann, "bob@Bank1", 10);
    let cancelled = bank.order("Bank1", ann, "bob@Bank1", 10);
    let paid = bank.order("Bank1", ann, "bob@Bank1", 10);
    let answers = bank.batch(vec![
        Command::Cancel(bank.signed(&cancelled)),
        bank.decide(&cancelled, None),
        bank.decide(&paid, None),
        Command::Cancel(bank.signed(&paid)),
    ]);
    let words: Vec<Word> = answers.iter().map(word).collect();
    assert_eq!(words, [declined(Code::Cancelled), declined(Code::Cancelled), POSTED, POSTED]);
    bank.clock.0.store(999, Ordering::Relaxed);
    assert_eq!(bank.ask(Command::Inquire(bank.signed(&late))), Answer::Undecided);
    bank.clock.0.store(1_000, Ordering::Relaxed);
    assert_eq!(word(&bank.ask(Command::Inquire(bank.signed(&late)))), declined(Code::Expired));
    // the clock going back changes no record
    bank.clock.0.store(0, Ordering::Relaxed);
    assert_eq!(word(&bank.ask(bank.decide(&late, None))), declined(Code::Expired));
    assert_eq!(bank.balance(ann).0, 90);
}

#[test]
fn undecided_promises_of_one_payer_are_capped() {
    let (mut bank, _, _) = TestBank::with_people(100, 1_000);
    let payer = AccountNumber::from_body(5_000_000_001).unwrap();
    for expected in [true, true, false] {
        let order = bank.order("Bank2", payer, "ann@Bank1", 1);
        let answer = bank.ask(Command::Prepare(bank.signed(&order)));
        assert_eq!(answer != Answer::Refused(Refusal::Busy), expected);
    }
}

#[test]
fn the_journal_is_written_with_full_sync_and_a_foreign_or_altered_one_is_refused() {
    let (bank, _, _) = TestBank::with_people(100, 0);
    let TestBank { writer, projector, dir, .. } = bank;
    drop((writer, projector));
    let store = SqliteStore::open(dir.path(), &own()).unwrap();
    let durability = store.durability().unwrap().unwrap();
    assert_eq!((durability.journal_mode.as_str(), durability.synchronous), ("wal", 2));
    drop(store);
    let foreign = Own { bank: BankName::new("Bank9").unwrap(), network: "test".into() };
    let error = Folder::open(dir.path(), &Sqlite, foreign, 0).unwrap_err().to_string();
    assert!(error.contains("test/Bank1, not of test/Bank9"), "{error}");
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    connection.execute("UPDATE batches SET body = zeroblob(length(body)) WHERE number = 3", []).unwrap();
    drop(connection);
    let error = Folder::open(dir.path(), &Sqlite, own(), 0).unwrap_err().to_string();
    assert!(error.contains("batch 3") || error.contains("does not continue"), "{error}");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Any mix of commands, in batches of any size, with restarts between: the books sum to zero, nobody
        /// is overdrawn, and a restart changes nothing (I1, I8, I10).
        #[test]
        fn the_books_balance_after_any_commands(
            steps in proptest::collection::vec((0u8..6, 1i64..80, any::<bool>()), 1..40),
        ) {
            let (mut bank, ann, bob) = TestBank::with_people(100, 120);
            let payer = AccountNumber::from_body(5_000_000_001).unwrap();
            let mut commands = Vec::new();
            for (kind, cents, flush) in steps {
                let out = bank.order("Bank1", ann, "user2@Bank2", cents);
                let own = bank.order("Bank1", ann, "bob@Bank1", cents);
                let incoming = bank.order("Bank2", payer, "bob@Bank1", cents);
                match kind {
                    0 => commands.push(bank.decide(&out, Some(Vote::Yes))),
                    1 => commands.push(bank.decide(&own, None)),
                    2 => commands.push(Command::Prepare(bank.signed(&incoming))),
                    3 => {
                        commands.push(Command::Prepare(bank.signed(&incoming)));
                        let said = said(&incoming, "Bank2", POSTED);
                        commands.push(Command::Post { order: incoming, said });
                    }
                    4 => {
                        commands.push(Command::Prepare(bank.signed(&incoming)));
                        let said = said(&incoming, "Bank2", Word::Void);
                        commands.push(Command::Release { order: incoming, said });
                    }
                    _ => {
                        commands.push(Command::Cancel(bank.signed(&out)));
                        commands.push(bank.decide(&out, Some(Vote::Yes)));
                    }
                }
                if flush {
                    let taken = std::mem::take(&mut commands);
                    bank.batch(taken);
                    bank.projector.catch_up().unwrap();
                }
            }
            bank.batch(commands);
            bank.check();
            prop_assert!(bank.balance(ann).0 >= 0 && bank.balance(bob).0 >= 0);
            let before = bank.report();
            let mut bank = bank.restart();
            prop_assert_eq!(bank.report(), before.clone());
            // the projections sum to the same balances
            bank.projector.catch_up().unwrap();
            let projected = bank.writer.projections.balances().unwrap();
            for balance in before.balances.iter().filter(|balance| balance.posted != 0) {
                prop_assert!(projected.contains(&(balance.account.clone(), balance.posted)));
            }
        }
    }
}

#[test]
fn an_index_that_is_not_what_was_projected_ends_the_writer_with_words_before_anything_is_decided() {
    for damage in [
        "UPDATE outcomes SET id = zeroblob(16)",
        "DELETE FROM outcomes",
        "UPDATE outcomes SET owed = 1",
        "UPDATE segments SET count = 2 WHERE of = 'outcomes'",
    ] {
        let (mut bank, ann, _) = TestBank::with_people(100, 0);
        let order = bank.order("Bank1", ann, "bob@Bank1", 60);
        assert_eq!(word(&bank.ask(bank.decide(&order, None))), POSTED);
        bank.projector.catch_up().unwrap();
        // nothing of the index is compared yet in this process, and it is damaged after its start
        let mut bank = bank.restart();
        let connection = rusqlite::Connection::open(bank.dir.path().join("projections.db")).unwrap();
        connection.execute_batch(damage).unwrap();
        let queued = vec![(bank.decide(&order, None), Box::new(|_| ()) as Respond)];
        let position = bank.report().position;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(bank.writer.carry_out(queued, &mut bank.eviction));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("projections.db is damaged: its outcomes with ids that begin with"), "{text}");
        assert_eq!(bank.report().position, position, "{damage}");
        // and the next start, after they were taken away, knows it
        crate::projection::discard(bank.dir.path()).unwrap();
        let mut bank = bank.restart();
        assert_eq!(word(&bank.ask(bank.decide(&order, None))), POSTED);
        assert_eq!(bank.report().position, position, "{damage}");
    }
}
