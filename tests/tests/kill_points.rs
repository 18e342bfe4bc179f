//! kill -9 before and after each durable write and each send, at the payer's bank, the payee's bank, the gateway
//! and the client's outbox. The list is what the processes have passed; it is held against the contract's own
//! lists, so that a write or message without a kill point, or one that nothing here passes, fails the test.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use strife_client::{Api, BankName, Submission};
use strife_proto::domain::{Order, ReceivedOrder};
use strife_proto::signing::{SigningKey, Tag, random};
use strife_proto::{descriptor_pool, v1};
use strife_tests::auditor::{Auditor, Nature};
use strife_tests::books::Books;
use strife_tests::history;
use strife_tests::invariants::Evidence;
use strife_tests::network::TestNetwork;
use strife_tests::people::Person;
use zeroize::Zeroizing;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
const PAYER: &str = env!("CARGO_BIN_EXE_strife-payer");

/// What is passed once at each start alone.
const ONCE_A_START: [&str; 1] = ["write/sessions_forgotten/"];

/// The person, by number, whose account is near its floor, and what is paid in and out of it.
const POOR: usize = 2;
const NEAR_FLOOR_CENTS: i64 = 5;

/// Rounds of the workload in which an armed point may not be reached.
const ROUNDS_MAX: usize = 8;
/// Who is user2 at Bank2 among the people.
const PAYEE: usize = 4;

/// Every point that has been passed, by process.
fn passed(dir: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut points: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for point in std::fs::read_to_string(dir.join("passed")).unwrap_or_default().lines() {
        let (process, _) = point.split_once('/').unwrap();
        // the demo's own client, which made the sample world
        if process == "process" {
            continue;
        }
        points.entry(process.to_owned()).or_default().insert(point.to_owned());
    }
    points
}

fn arm(dir: &Path, process: &str, point: &str) {
    // under another name first: whoever reads it reads all of it
    let (making, armed) = (dir.join(format!("making.{process}")), dir.join(format!("armed.{process}")));
    std::fs::write(&making, point).unwrap();
    std::fs::rename(making, armed).unwrap();
}

/// Takes a point back; `false` if the process has taken it, and dies.
fn disarm(dir: &Path, process: &str) -> bool {
    std::fs::remove_file(dir.join(format!("armed.{process}"))).is_ok()
}

fn is_armed(dir: &Path, process: &str) -> bool {
    dir.join(format!("armed.{process}")).exists()
}

/// What the contract says must be written, sent and answered: fields of its oneofs, methods of its services.
fn expected() -> Vec<String> {
    let pool = descriptor_pool();
    let oneof = |message: &str, name: &str| -> Vec<String> {
        let message = pool.get_message_by_name(message).unwrap();
        let oneof = message.oneofs().find(|oneof| oneof.name() == name).unwrap();
        oneof.fields().map(|field| field.name().to_owned()).collect()
    };
    let mut expected: Vec<String> = Vec::new();
    expected.extend(oneof("strife.journal.v1.Entry", "kind").iter().map(|name| format!("write/{name}")));
    expected
        .extend(["session", "session_ended", "person_row", "projections"].map(|row| format!("write/{row}")));
    let files = ["mark", "snapshot", "snapshot_rename", "snapshot_removal", "sessions_forgotten"];
    expected.extend(files.map(|file| format!("write/{file}")));
    let messages = oneof("strife.v1.LinkRequest", "message");
    expected.extend(messages.iter().map(|name| format!("send/{name}")));
    for service in pool.services().filter(|service| service.full_name().starts_with("strife.v1.")) {
        let methods = service.methods();
        expected.extend(methods.map(|method| format!("answer/{}/{}", service.name(), method.name())));
    }
    expected
}

/// The people and what they have asked for, across every crash of the others.
struct Load {
    auditor: std::sync::Mutex<Auditor>,
    people: Vec<Person>,
    orders: std::sync::Mutex<Vec<(usize, ReceivedOrder, v1::Signature, Nature)>>,
}

impl Load {
    async fn submit(
        &self,
        api: &Api,
        at: usize,
        order: &ReceivedOrder,
        signature: &v1::Signature,
        again: bool,
    ) {
        let nature = self.nature_of(order);
        self.auditor.lock().unwrap().asks(order, nature);
        let reply = api.submit(&self.people[at].session, order, signature, again).await;
        self.auditor.lock().unwrap().hears(order, &reply);
    }

    fn nature_of(&self, order: &ReceivedOrder) -> Nature {
        let orders = self.orders.lock().unwrap();
        orders.iter().find(|(_, known, ..)| known == order).map(|(.., nature)| *nature).unwrap()
    }

    fn make(&self, at: usize, to: &str, cents: i64, forged: bool) -> (ReceivedOrder, v1::Signature) {
        let person = &self.people[at];
        let (order, mut signature) = person.sign(&person.order(&to.parse().unwrap(), cents));
        if forged {
            signature = SigningKey::from_seed(&[7; 32]).unwrap().sign(Tag::Order, order.bytes());
        }
        let nature = Nature { forged, ..Nature::default() };
        self.orders.lock().unwrap().push((at, order.clone(), signature.clone(), nature));
        (order, signature)
    }

    /// The payee pays a payment back.
    fn make_refund(&self, of: &ReceivedOrder) -> (ReceivedOrder, v1::Signature) {
        let (person, paid) = (&self.people[PAYEE], of.order());
        let back = format!("{}@{}", paid.payer, paid.key.bank).parse().unwrap();
        let plain = person.order(&back, paid.amount.minor_units());
        let (order, signature) = person.sign(&Order { refund_of: Some(paid.key.clone()), ..plain });
        self.orders.lock().unwrap().push((PAYEE, order.clone(), signature.clone(), Nature::default()));
        (order, signature)
    }

    /// One of everything that a network does. Whatever fails because somebody has just been killed is asked
    /// for again in the end.
    async fn round(&self, network: &TestNetwork, api: &Api) {
        let cents = 1;
        let pay_cents = async |at: usize, to: &str, cents: i64| {
            let (order, signature) = self.make(at, to, cents, false);
            self.submit(api, at, &order, &signature, false).await;
        };
        let pay = async |at: usize, to: &str, forged: bool, again: bool| {
            let (order, signature) = self.make(at, to, cents, forged);
            self.submit(api, at, &order, &signature, again).await;
            order
        };
        let cancelled = async {
            let (order, _) = self.make(0, "user4@Bank2", 1, false);
            self.auditor.lock().unwrap().asks_cancel(&order, Nature::default());
            let reply = api.cancel(&self.people[0].session, &order, &self.people[0].device).await;
            self.auditor.lock().unwrap().hears(&order, &reply);
        };
        let paid_and_asked = async {
            let order = pay(0, "user2@Bank2", false, false).await;
            let asked = self.auditor.lock().unwrap().asks_outcome();
            let reply = api.outcome(&self.people[0].session, &order).await;
            self.auditor.lock().unwrap().hears_outcome(asked, &order, &reply);
            let _ = api.life(&self.people[0].session, order.key()).await;
            let _ = api.life(&self.people[PAYEE].session, order.key()).await;
            // both at once, and the whole payment each: one at the most is posted
            let [one, two] = [self.make_refund(&order), self.make_refund(&order)];
            tokio::join!(
                self.submit(api, PAYEE, &one.0, &one.1, false),
                self.submit(api, PAYEE, &two.0, &two.1, false)
            );
        };
        let over_a_stream = async {
            let made = [self.make(1, "user2@Bank1", 1, false), self.make(1, "user3@Bank2", 1, false)];
            let many = made.map(|(order, signature)| Submission { order, signature, again: false });
            for one in &many {
                self.auditor.lock().unwrap().asks(&one.order, Nature::default());
            }
            let hears = |place: usize, reply| self.auditor.lock().unwrap().hears(&many[place].order, &reply);
            api.submit_many(&self.people[1].session, &many, hears).await;
        };
        tokio::join!(
            over_a_stream,
            paid_and_asked,
            pay(1, "user2@Bank1", false, true),
            pay(0, "nobody@Bank2", false, false),
            pay(0, "user3@Bank1", false, false),
            pay(0, "user3@Bank2", true, false),
            // an account near its floor: some fit, some do not, and never both of two that do not fit together
            pay_cents(0, "user2@Bank1", NEAR_FLOOR_CENTS),
            pay_cents(POOR, "user3@Bank1", NEAR_FLOOR_CENTS),
            pay_cents(POOR, "user3@Bank2", NEAR_FLOOR_CENTS + 1),
            cancelled,
            self.read(api),
            sign_in_and_out(api, "Bank1"),
            sign_in_and_out(api, "Bank2"),
            administer(network, "Bank1"),
            administer(network, "Bank2"),
        );
    }

    /// Has one person pay away nearly everything.
    async fn make_poor(&self, api: &Api) {
        let person = &self.people[POOR];
        let accounts = api.accounts(&person.session).await.unwrap().accounts;
        let own = accounts.iter().find(|account| account.number == person.account.to_string()).unwrap();
        let (order, signature) = self.make(POOR, "user4@Bank2", own.available - NEAR_FLOOR_CENTS, false);
        self.submit(api, POOR, &order, &signature, false).await;
    }

    async fn read(&self, api: &Api) {
        for person in &self.people[..2] {
            let asked = self.auditor.lock().unwrap().begins_reading();
            if let Ok(reply) = api.accounts(&person.session).await {
                self.auditor.lock().unwrap().reads(asked, &person.session.bank, &reply.accounts);
            }
            let history = v1::HistoryRequest {
                account: person.account.to_string(),
                page_size: 3,
                ..Default::default()
            };
            let _ = api.history(&person.session, history).await;
            if let Ok(mut watch) = api.watch(&person.session, 0).await {
                let _ = watch.message().await;
            }
        }
        let _ = api.banks().await;
    }

    /// Asks until every order has come to its end.
    async fn insist(&self, api: &Api) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let open: Vec<_> = {
                let (orders, auditor) = (self.orders.lock().unwrap(), self.auditor.lock().unwrap());
                let ended = |order: &ReceivedOrder| {
                    let known = auditor.orders().get(&(order.key().clone(), order.hash()));
                    known.is_some_and(|known| known.ended.is_some())
                };
                orders.iter().filter(|(_, order, ..)| !ended(order)).cloned().collect()
            };
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{} orders never came to an end", open.len());
            join_all(
                open.iter().map(|(at, order, signature, _)| self.submit(api, *at, order, signature, true)),
            )
            .await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn sign_in_and_out(api: &Api, bank: &str) {
    let device = SigningKey::from_seed(&random::<32>().unwrap()).unwrap();
    let (bank, password) = (BankName::new(bank).unwrap(), Zeroizing::new("pass5".to_owned()));
    if let Ok(session) = api.log_in(&bank, "user5", password, &device).await {
        let _ = api.log_out(&session).await;
    }
}

/// One of everything that an operator does; none of it touches an account that the auditor knows.
async fn administer(network: &TestNetwork, bank: &str) {
    let mut admin = network.admin(bank);
    let request_id = || bytes::Bytes::copy_from_slice(&random::<16>().unwrap());
    let login = format!("p{:016x}", u64::from_be_bytes(random().unwrap()));
    let person = v1::AddPersonRequest {
        login: login.clone(),
        display_name: "Somebody".into(),
        password: "password".into(),
    };
    if admin.add_person(person).await.is_err() {
        return;
    }
    let open = v1::OpenAccountRequest {
        login,
        currency: "EUR".into(),
        name: "Everyday".into(),
        request_id: request_id(),
    };
    let Ok(opened) = admin.open_account(open).await else { return };
    let cash = v1::CashEntryRequest {
        account: opened.into_inner().number,
        minor_units: 5,
        currency: "EUR".into(),
        reason: "test".into(),
        request_id: request_id(),
    };
    let _ = admin.cash_entry(cash).await;
    let counterpart = if bank == "Bank1" { "Bank2" } else { "Bank1" };
    let cap = v1::SetSettlementCapRequest {
        counterpart: counterpart.into(),
        currency: "EUR".into(),
        cap: 100_000_000,
    };
    let _ = admin.set_settlement_cap(cap).await;
    let _ = admin.report(v1::ReportRequest {}).await;
    let _ = admin.verify(v1::VerifyRequest {}).await;
}

async fn people(api: &Api) -> Vec<Person> {
    let mut people = Vec::new();
    for (bank, number) in
        [("Bank1", 1), ("Bank2", 1), ("Bank1", 2), ("Bank1", 3), ("Bank2", 2), ("Bank2", 3), ("Bank2", 4)]
    {
        let login = format!("user{number}");
        people.push(Person::sign_in(api, bank, &login).await);
    }
    people
}

#[tokio::test]
async fn kill_9_before_and_after_every_write_and_every_send_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let network = TestNetwork::start_with(
        PROGRAM,
        1,
        &[
            ("STRIFE_KILL_DIR", dir.path().to_str().unwrap()),
            // the killed are missed sooner
            ("STRIFE_GATEWAY_TIMEOUTS__PREPARE_MS", "800"),
            ("STRIFE_GATEWAY_TIMEOUTS__DECIDE_MS", "800"),
            ("STRIFE_GATEWAY_TIMEOUTS__RPC_MS", "800"),
            ("STRIFE_GATEWAY_RESOLVER__INTERVAL_MS", "200"),
            ("STRIFE_GATEWAY_RESOLVER__PROMISE_AGE_MS_MAX", "200"),
            ("STRIFE_GATEWAY_LIMITS__LOGINS_PER_MINUTE_MAX", "100000"),
            ("STRIFE_BANK_LIMITS__LOGIN_FAILURES_PER_MINUTE_MAX", "10000"),
            // each round of the load takes one
            ("STRIFE_BANK_SNAPSHOT_ENTRIES", "12"),
        ],
    );
    let api = network.api(0);
    let auditor = history::auditor(&network).await;
    let people = people(&api).await;
    let load = Load { auditor: auditor.into(), people, orders: Default::default() };

    load.make_poor(&api).await;
    // the list: what is passed when nobody is killed
    for _ in 0..2 {
        load.round(&network, &api).await;
    }
    Books::settled(&network).await;
    let points = passed(dir.path());
    let all: BTreeSet<&str> = points.values().flatten().map(|p| p.split_once('/').unwrap().1).collect();
    for what in expected() {
        for side in ["before", "after"] {
            // a stream is answered for as long as it lasts
            if what == "answer/Bank/Link" && side == "after" {
                continue;
            }
            assert!(
                all.contains(format!("{what}/{side}").as_str()),
                "nothing passes {what}/{side}: {all:#?}"
            );
        }
    }
    let processes: Vec<String> = points.keys().cloned().collect();
    assert_eq!(processes, ["Bank1", "Bank2", "gateway1"]);

    let total: usize = points.values().map(BTreeSet::len).sum();
    let mut todo: BTreeMap<String, VecDeque<String>> =
        points.into_iter().map(|(process, points)| (process, points.into_iter().collect())).collect();
    let (mut visited, mut rounds, mut tries) = (0, 0, BTreeMap::<String, usize>::new());
    while todo.values().any(|points| !points.is_empty()) {
        // all at once; one that is hidden by the others' deaths is armed alone
        let hidden = todo.iter().find(|(_, points)| {
            points.front().and_then(|point| tries.get(point)).is_some_and(|tries| *tries > 1)
        });
        let hidden = hidden.map(|(process, _)| process.clone());
        let mut armed = BTreeSet::new();
        for (process, points) in &todo {
            if let Some(point) = points.front().filter(|_| hidden.as_ref().is_none_or(|h| h == process)) {
                arm(dir.path(), process, point);
                armed.insert(process.clone());
                if ONCE_A_START.iter().any(|what| point.contains(what)) {
                    network.kill(process);
                    network.start_process(process);
                }
            }
        }
        load.round(&network, &api).await;
        rounds += 1;
        let mut killed = BTreeSet::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for process in &armed {
                // one may die of what goes on by itself, at any moment
                if !is_armed(dir.path(), process) && killed.insert(process.clone()) {
                    network.start_when_gone(process);
                }
            }
            if is_up(&network, &api).await {
                break;
            }
            assert!(Instant::now() < deadline, "not everybody is back after {killed:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for process in &armed {
            if !killed.contains(process) && !disarm(dir.path(), process) {
                network.start_when_gone(process);
                killed.insert(process.clone());
            }
        }
        visited += killed.len();
        for (process, points) in &mut todo {
            if killed.contains(process) {
                points.pop_front();
            } else if let Some(point) = points.front().filter(|_| armed.contains(process)) {
                let tries = tries.entry(point.clone()).or_default();
                *tries += 1;
                assert!(*tries < ROUNDS_MAX, "{point} is not reached any more");
            }
        }
    }
    assert_eq!(visited, total);

    load.insist(&api).await;
    let after = Books::settled(&network).await;
    after.check();
    judge(&load, network, &format!("{visited} kill points in {rounds} rounds")).await;
}

/// Everybody answers again.
async fn is_up(network: &TestNetwork, api: &Api) -> bool {
    let banks = api.banks().await;
    let reachable = banks.is_ok_and(|banks| banks.len() == 2 && banks.iter().all(|bank| bank.reachable));
    for bank in ["Bank1", "Bank2"] {
        if network.admin(bank).report(v1::ReportRequest {}).await.is_err() {
            return false;
        }
    }
    reachable
}

async fn judge(load: &Load, network: TestNetwork, what: &str) {
    let mut auditor = load.auditor.lock().unwrap().clone();
    let books = Books::settled(&network).await;
    let mut wrong = history::faults_of_running(&network).await;
    for entry in std::fs::read_dir(network.dir().join("logs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "stderr") {
            let words = std::fs::read_to_string(&path).unwrap();
            wrong.extend(history::panics_in(&path.display().to_string(), &words));
        }
    }
    let dir = network.dir().to_owned();
    let mut snapshots = 0;
    network.restart(1, |_| {
        let journals = history::journals(&dir).unwrap();
        snapshots = journals.values().map(|journal| journal.snapshots).sum();
        // accounts that the operator has opened since, with the cash that the journals say was paid in
        history::accounts(&mut auditor, &books, &journals);
        wrong.extend(Evidence::gather(journals, &auditor).check(true));
    });
    let (judged, violations) = auditor.judge();
    wrong.extend(violations);
    for (bank, report) in &books.reports {
        wrong.extend(auditor.compare(&BankName::new(bank).unwrap(), report));
    }
    println!("{what}: {judged:?}, {snapshots} snapshots");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(judged.posted > 50 && judged.declined > 50 && judged.never > 20, "{judged:?}");
    assert!(snapshots >= 2, "no snapshot was compared");
}

#[tokio::test]
async fn kill_9_at_every_point_of_the_outbox_keeps_what_was_said_to_be_queued() {
    let dir = tempfile::tempdir().unwrap();
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let reader = Person::sign_in(&api, "Bank1", "user1").await;
    let held = async || -> i64 {
        Books::settled(&network).await;
        let accounts = api.accounts(&reader.session).await.unwrap().accounts;
        accounts.iter().find(|account| account.number == reader.account.to_string()).unwrap().posted
    };
    let before = held().await;
    let data_dir = dir.path().join("client");
    let payer_in = |data_dir: &Path, count: &str, kills: bool| {
        let mut command = Command::new(PAYER);
        command.args([
            "--config",
            &network.description.client_config,
            "--bank",
            "Bank1",
            "--person",
            "user1",
        ]);
        command.args(["--password", "pass1", "--to", "user2@Bank2", "--count", count, "--cancel-last"]);
        command.arg("--dismiss").arg("--data-dir").arg(data_dir);
        if kills {
            command.env("STRIFE_KILL_DIR", dir.path());
        }
        let output = command.output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        (output.status, lines, String::from_utf8(output.stderr).unwrap())
    };
    let payer = |count: &str, kills: bool| payer_in(&data_dir, count, kills);
    let mut queued = BTreeSet::new();
    let mut ended = BTreeMap::new();
    let mut note = |lines: Vec<String>| {
        for line in lines {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("queued"), Some(id), _) => drop(queued.insert(id.to_owned())),
                (Some("ended"), Some(id), Some(state)) => drop(ended.insert(id.to_owned(), state.to_owned())),
                _ => panic!("{line}"),
            }
        }
    };
    let (status, lines, errors) = payer("3", true);
    assert!(status.success(), "{errors}");
    note(lines);
    // a cancel leaves only where the payment has not won: the payee's bank is away
    network.kill("Bank2");
    let (status, lines, errors) = payer("1", true);
    network.start_process("Bank2");
    assert!(status.success(), "{errors}");
    note(lines);
    let points = passed(dir.path()).remove("client").unwrap();
    for what in [
        "write/outbox_line",
        "write/outbox.journal",
        "write/outbox.journal_rename",
        "write/order",
        "write/removal",
        "send/submit",
        "send/outcome",
        "send/cancel",
    ] {
        for side in ["before", "after"] {
            let point = format!("client/{what}/{side}");
            assert!(points.contains(&point), "nothing passes {point}: {points:?}");
        }
    }
    for point in &points {
        arm(dir.path(), "client", point);
        let cancels = point.contains("send/cancel");
        if cancels {
            network.kill("Bank2");
        }
        // a device's key is made once: by somebody who has none yet
        let new = point.contains("write/device.").then(|| tempfile::tempdir().unwrap());
        let data_dir = new.as_ref().map_or(data_dir.as_path(), |dir| dir.path());
        let (status, lines, _) = payer_in(data_dir, if cancels { "1" } else { "3" }, true);
        if cancels {
            network.start_process("Bank2");
        }
        note(lines);
        assert!(!is_armed(dir.path(), "client"), "{point} was not reached");
        assert!(!status.success());
        let (status, lines, errors) = payer_in(data_dir, "0", false);
        assert!(status.success(), "after {point}: {errors}");
        note(lines);
    }
    let posted = ended.values().filter(|state| state.starts_with("Posted")).count();
    println!("{} kill points of the outbox, {} orders, {posted} posted", points.len(), ended.len());
    let paid = before - held().await;
    assert!(posted > 10);
    assert!(
        queued.iter().filter(|id| !ended.contains_key(*id)).count() <= points.len(),
        "{queued:?} {ended:?}"
    );
    // what ended and was taken off the queue just before a kill told nobody any more: the bank knows
    assert!(paid >= i64::try_from(posted).unwrap(), "{paid} cents left for {posted} payments");
    let told_nobody = queued.iter().filter(|id| !ended.contains_key(*id)).count();
    assert!(paid <= i64::try_from(posted + told_nobody).unwrap(), "{paid} cents, {posted} and {told_nobody}");
}
