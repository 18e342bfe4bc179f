//! Money under concurrency and under kill -9, on real processes.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use strife_client::api::Known;
use strife_client::{Api, Verdict};
use strife_proto::v1;
use strife_tests::books::{Books, verify_journals};
use strife_tests::network::TestNetwork;
use strife_tests::people::{Person, verdict};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

#[tokio::test]
async fn fifty_copies_of_one_order_post_once() {
    let network = TestNetwork::start(PROGRAM, 2);
    let apis = [network.api(0), network.api(1)];
    let payer = Person::sign_in(&apis[0], "Bank1", "user1").await;
    let before = Books::settled(&network).await;
    let (order, signature) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 777));
    let copies = (0..50).map(|copy| {
        let (api, payer, order, signature) =
            (apis[copy % 2].clone(), payer.clone(), order.clone(), signature.clone());
        tokio::spawn(async move { api.submit(&payer.session, &order, &signature, copy % 3 == 0).await })
    });
    let answers: Vec<Known> =
        join_all(copies).await.into_iter().map(|answer| answer.unwrap().expect("an answer")).collect();
    let mut statements = Vec::new();
    for answer in answers {
        // a copy may be told that nothing final is known yet; asked again it hears the same as all
        let mut answer = answer;
        while answer == Known::Pending {
            answer = apis[0].submit(&payer.session, &order, &signature, true).await.unwrap();
        }
        assert_eq!(verdict(&answer), Some(Verdict::Posted));
        let Known::Ended { statement, .. } = answer else { panic!("no statement") };
        statements.push(statement);
    }
    assert!(statements.iter().all(|statement| *statement == statements[0]), "one outcome, for all");
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.person("Bank1", "user1"), before.person("Bank1", "user1") - 777);
    assert_eq!(after.person("Bank2", "user2"), before.person("Bank2", "user2") + 777);

    // the same id with other bytes: a conflict, and nothing moves
    let mut other = order.order().clone();
    other.memo = "other bytes".into();
    let (other, signature) = payer.sign(&other);
    let answer = apis[1].submit(&payer.session, &other, &signature, false).await.unwrap();
    let Known::Ended { statement, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(statement.word, strife_proto::statement::Word::Conflict);
    let last = Books::settled(&network).await;
    assert_eq!(last.person("Bank1", "user1"), after.person("Bank1", "user1"));
    verify_journals(&network).await;
}

#[tokio::test]
async fn two_hundred_transfers_among_ten_accounts_conserve_the_total_and_overdraw_none() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let mut people = Vec::new();
    for bank in ["Bank1", "Bank2"] {
        for number in 1..=5 {
            people.push(Person::sign_in(&api, bank, &format!("user{number}")).await);
        }
    }
    let before = Books::settled(&network).await;
    let transfers = (0..200usize).map(|number| {
        let payer = people[number % 10].clone();
        let payee = people[(number * 7 + 3) % 10].account_ref();
        // large enough that some must be declined
        let cents = 9_000 + (number as i64 * 7_919) % 30_000;
        let api = api.clone();
        tokio::spawn(async move {
            if payer.account_ref() == payee {
                return None;
            }
            let (order, signature) = payer.sign(&payer.order(&payee, cents));
            let mut again = false;
            loop {
                let answer = api.submit(&payer.session, &order, &signature, again).await.expect("an answer");
                if let Some(verdict) = verdict(&answer) {
                    return Some((order, verdict));
                }
                again = true;
            }
        })
    });
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    let (mut posted, mut declined) = (0, 0);
    for outcome in join_all(transfers).await {
        let Some((order, verdict)) = outcome.unwrap() else { continue };
        match verdict {
            Verdict::Posted => {
                posted += 1;
                let said = order.order();
                let cents = said.amount.minor_units();
                *expected.entry(format!("{}@{}", said.payer, said.key.bank)).or_default() -= cents;
                *expected.entry(said.payee.to_string()).or_default() += cents;
            }
            Verdict::Declined(_) => declined += 1,
        }
    }
    assert!(posted > 20 && declined > 5, "{posted} posted, {declined} declined");
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.customers_total(), before.customers_total());
    for person in &people {
        let (bank, account) = (person.session.bank.to_string(), format!("customer:{}", person.account));
        let change = after.posted(&bank, &account) - before.posted(&bank, &account);
        let said = expected.get(&person.account_ref().to_string()).copied().unwrap_or(0);
        assert_eq!(change, said, "{}", person.account_ref());
    }
    verify_journals(&network).await;
}

/// Pays back and forth until told to stop, each order until it has ended, and says what was posted.
async fn pay_on(
    apis: Vec<Api>,
    payer: Person,
    payee: Person,
    stop: Arc<AtomicBool>,
    posted: Arc<AtomicU64>,
) -> i64 {
    let mut sum = 0;
    let mut turn = 0usize;
    while !stop.load(Ordering::Relaxed) {
        let (order, signature) = payer.sign(&payer.order(&payee.account_ref(), 1 + (turn as i64 % 5)));
        let mut again = false;
        loop {
            turn += 1;
            let api = &apis[turn % apis.len()];
            match api.submit(&payer.session, &order, &signature, again).await {
                Ok(answer) if verdict(&answer) == Some(Verdict::Posted) => {
                    sum += order.order().amount.minor_units();
                    posted.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(Known::Ended { statement, .. }) => panic!("declined: {statement:?}"),
                // unknown, or nobody there: the same bytes again
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            again = true;
        }
    }
    sum
}

async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn promises(network: &TestNetwork, bank: &str) -> u64 {
    let report = network.admin(bank).report(v1::ReportRequest {}).await;
    report.map_or(0, |report| report.into_inner().promises)
}

#[tokio::test]
async fn killing_each_process_amid_transfers_loses_none_makes_none_twice_and_leaves_nothing_open() {
    let network = TestNetwork::start(PROGRAM, 2);
    // the second gateway is to come fresh
    network.kill("gateway2");
    let apis = vec![network.api(0), network.api(1)];
    let (stop, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let before = Books::settled(&network).await;
    let mut pairs = Vec::new();
    for number in 1..=4 {
        let one = Person::sign_in(&apis[0], "Bank1", &format!("user{number}")).await;
        let two = Person::sign_in(&apis[0], "Bank2", &format!("user{number}")).await;
        pairs.push(if number % 2 == 0 { (two, one) } else { (one, two) });
    }
    let single = Person::sign_in(&apis[0], "Bank1", "user5").await;
    let streams: Vec<_> = pairs
        .iter()
        .map(|(payer, payee)| {
            let (apis, payer, payee) = (apis.clone(), payer.clone(), payee.clone());
            tokio::spawn(pay_on(apis, payer, payee, stop.clone(), posted.clone()))
        })
        .collect();
    let amid = |more: u64| {
        let target = posted.load(Ordering::Relaxed) + more;
        let posted = posted.clone();
        async move { wait_until("transfers go on", async || posted.load(Ordering::Relaxed) >= target).await }
    };

    amid(30).await;
    network.kill("Bank2");
    network.start_process("Bank2");
    amid(30).await;
    network.kill("Bank1");
    // with the payer's bank gone, a new order is promised at the payee's bank and cannot be decided
    let (order, signature) = single.sign(&single.order(&"user5@Bank2".parse().unwrap(), 55));
    wait_until("an undecided promise", async || {
        let answer = apis[0].submit(&single.session, &order, &signature, false).await;
        assert!(answer.as_ref().map_or(true, |known| *known == Known::Pending), "{answer:?}");
        promises(&network, "Bank2").await > 0
    })
    .await;
    network.kill("gateway1");
    let open = promises(&network, "Bank2").await;
    assert!(open > 0, "a promise stood undecided when the gateway was killed");
    network.start_process("Bank1");
    wait_until("Bank1 is back", async || network.admin("Bank1").report(v1::ReportRequest {}).await.is_ok())
        .await;
    assert!(promises(&network, "Bank2").await >= open, "nobody but a gateway ends a promise");
    // a different, fresh gateway finishes what it never heard of
    network.start_process("gateway2");
    amid(30).await;
    stop.store(true, Ordering::Relaxed);
    let sums: Vec<i64> = join_all(streams).await.into_iter().map(|sum| sum.expect("a stream")).collect();

    let after = Books::settled(&network).await;
    after.check();
    let single_paid = before.person("Bank1", "user5") - after.person("Bank1", "user5");
    let single_got = after.person("Bank2", "user5") - before.person("Bank2", "user5");
    assert_eq!((single_paid, single_got), (55, 55), "the promise that outlived its gateway was finished");
    for ((payer, payee), sum) in pairs.iter().zip(sums) {
        for (person, sign) in [(payer, -1), (payee, 1)] {
            let (bank, account) = (person.session.bank.as_str(), format!("customer:{}", person.account));
            let change = after.posted(bank, &account) - before.posted(bank, &account);
            assert_eq!(change, sign * sum, "{}", person.account_ref());
        }
    }
    verify_journals(&network).await;
}

#[tokio::test]
async fn deleted_projections_are_rebuilt_and_a_restart_changes_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let (order, signature) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 123));
    let first = api.submit(&payer.session, &order, &signature, false).await.unwrap();
    assert_eq!(verdict(&first), Some(Verdict::Posted));
    let before = Books::settled(&network).await;
    let history = async |api: &Api, payer: &Person| {
        let mut all = Vec::new();
        let mut cursor = Default::default();
        loop {
            let asked = v1::HistoryRequest {
                account: payer.account.to_string(),
                cursor,
                page_size: 3,
                at_least_position: 0,
            };
            let page = api.history(&payer.session, asked).await.unwrap();
            all.extend(page.movements);
            cursor = page.next_cursor;
            if cursor.is_empty() {
                return all;
            }
        }
    };
    let shown = history(&api, &payer).await;
    assert!(shown.len() >= 7 && shown.windows(2).all(|pair| pair[0].position > pair[1].position));

    let network = network.restart(1, |dir| {
        for bank in ["Bank1", "Bank2"] {
            let data = dir.join("banks").join(bank).join("data");
            for name in ["projections.db", "projections.db-wal", "projections.db-shm"] {
                // a clean stop leaves no write-ahead log
                let _ = std::fs::remove_file(data.join(name));
            }
            assert!(!data.join("projections.db").exists());
        }
    });
    let api = network.api(0);
    let payer_again = Person::sign_in(&api, "Bank1", "user1").await;
    assert_eq!(history(&api, &payer_again).await, shown);
    let after = Books::settled(&network).await;
    for bank in ["Bank1", "Bank2"] {
        assert_eq!(after.reports[bank].balances, before.reports[bank].balances);
    }
    // the outcome replays from the rebuilt index, statement and all
    let again = api.submit(&payer.session, &order, &signature, true).await.unwrap();
    let (Known::Ended { statement: one, .. }, Known::Ended { statement: two, .. }) = (first, again) else {
        panic!("no outcome");
    };
    assert_eq!(one, two);
    verify_journals(&network).await;
}
