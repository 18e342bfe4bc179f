//! Refunds and the life of a transfer, on real processes: through the production client, a gateway and both banks.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::time::{Duration, Instant};

use strife_client::api::{ApiError, Known};
use strife_client::outbox::Credit;
use strife_client::view::OrderState;
use strife_client::{
    AccountRef, Api, BankName, Client, Code, Key, Life, Money, Payment, Problem, Refusal, Verdict,
};
use strife_proto::domain::{Order, ReceivedOrder};
use strife_tests::books::{Books, verify_journals};
use strife_tests::network::TestNetwork;
use strife_tests::people::{Person, verdict};
use zeroize::Zeroizing;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

/// Pays, and waits until the payee has the money.
async fn paid(api: &Api, payer: &Person, to: &AccountRef, cents: i64) -> ReceivedOrder {
    let (order, signature) = payer.sign(&payer.order(to, cents));
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut again = false;
    loop {
        let known = api.submit(&payer.session, &order, &signature, again).await;
        if matches!(&known, Ok(Known::Ended { credit: Credit::Account, .. }))
            || (matches!(&known, Ok(Known::Ended { .. })) && !order.order().is_interbank())
        {
            assert_eq!(verdict(&known.unwrap()), Some(Verdict::Posted));
            return order;
        }
        assert!(Instant::now() < deadline, "never credited: {known:?}");
        again = true;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Submits a refund until it has ended.
async fn refund(api: &Api, payer: &Person, of: &ReceivedOrder, cents: i64) -> Verdict {
    let back: AccountRef = format!("{}@{}", of.order().payer, of.key().bank).parse().unwrap();
    let order = Order { refund_of: Some(of.key().clone()), ..payer.order(&back, cents) };
    let (order, signature) = payer.sign(&order);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut again = false;
    loop {
        match api.submit(&payer.session, &order, &signature, again).await {
            Ok(known) if verdict(&known).is_some() => return verdict(&known).unwrap(),
            other => assert!(Instant::now() < deadline, "never ended: {other:?}"),
        }
        again = true;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a bank tells of a transfer, once it tells what is waited for.
async fn life(api: &Api, person: &Person, key: &Key, tells: impl Fn(&Life) -> bool) -> Life {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let life = api.life(&person.session, key).await;
        match life {
            Ok(life) if tells(&life) => return life,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_payment_is_refunded_by_halves_and_not_by_a_cent_more_though_its_bank_is_killed_between() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let payee = Person::sign_in(&api, "Bank2", "user2").await;
    let stranger = Person::sign_in(&api, "Bank2", "user3").await;
    let before = Books::settled(&network).await;
    let original = paid(&api, &payer, &payee.account_ref(), 1_001).await;

    assert_eq!(refund(&api, &payee, &original, 501).await, Verdict::Posted);
    network.kill("Bank2");
    network.start_process("Bank2");
    assert_eq!(refund(&api, &payee, &original, 501).await, Verdict::Declined(Code::RefundExceeds));
    assert_eq!(refund(&api, &payee, &original, 500).await, Verdict::Posted);
    assert_eq!(refund(&api, &payee, &original, 1).await, Verdict::Declined(Code::RefundExceeds));
    assert_eq!(refund(&api, &stranger, &original, 1).await, Verdict::Declined(Code::NotRefundable));

    // a refund is told on both sides, and cannot be refunded itself
    for (person, sign) in [(&payer, 1), (&payee, -1)] {
        let asked = strife_proto::v1::HistoryRequest {
            account: person.account.to_string(),
            page_size: 10,
            at_least_position: api.accounts(&person.session).await.unwrap().position,
            ..Default::default()
        };
        let page = api.history(&person.session, asked).await.unwrap().movements;
        let told: Vec<strife_client::Movement> = page.into_iter().map(Into::into).collect();
        let refunds: Vec<_> = told.iter().filter(|m| m.refund_of.as_ref() == Some(original.key())).collect();
        assert_eq!(refunds.iter().map(|m| m.minor_units * sign).collect::<Vec<_>>(), [500, 501]);
        assert!(refunds.iter().all(|m| m.key.as_ref().is_some_and(|key| key.bank.as_str() == "Bank2")));
        if sign == 1 {
            let key = refunds[0].key.clone().unwrap();
            let again = Order { refund_of: Some(key), ..payer.order(&payee.account_ref(), 1) };
            let (order, signature) = payer.sign(&again);
            let known = api.submit(&payer.session, &order, &signature, false).await.unwrap();
            assert_eq!(verdict(&known), Some(Verdict::Declined(Code::NotRefundable)));
        }
    }
    let after = Books::settled(&network).await;
    after.check();
    for (bank, owner) in [("Bank1", "user1"), ("Bank2", "user2"), ("Bank2", "user3")] {
        assert_eq!(after.person(bank, owner), before.person(bank, owner), "{owner}@{bank}");
    }
    verify_journals(&network).await;
}

#[tokio::test]
async fn the_two_sides_of_a_transfer_are_told_its_life_and_nobody_else() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let payee = Person::sign_in(&api, "Bank2", "user2").await;
    let own_bank = Person::sign_in(&api, "Bank1", "user3").await;
    let begun_ms = strife_client::now_ms();
    let original = paid(&api, &payer, &payee.account_ref(), 1_000).await;
    assert_eq!(refund(&api, &payee, &original, 400).await, Verdict::Posted);
    let between =
        |at_ms: Option<i64>| at_ms.is_some_and(|at| (begun_ms..=strife_client::now_ms()).contains(&at));

    let told = life(&api, &payer, original.key(), |life| life.credited_at_ms.is_some()).await;
    assert_eq!(
        (told.amount.minor_units(), told.memo.as_str(), told.refund_of.as_ref()),
        (1_000, "test", None)
    );
    assert_eq!((&told.from, &told.to), (&payer.account_ref(), &payee.account_ref()));
    assert_eq!((told.outcome, told.sentence, told.to_suspense), (Some("posted"), None, false));
    assert!(
        between(told.decided_at_ms)
            && between(told.credited_at_ms)
            && told.decided_at_ms <= told.credited_at_ms
    );
    assert_eq!((told.promised_at_ms, told.refundable), (None, None), "these are the payee's bank's to know");

    let told = life(&api, &payee, original.key(), |_| true).await;
    assert!(between(told.promised_at_ms) && between(told.credited_at_ms));
    assert!(told.promised_at_ms <= told.credited_at_ms);
    assert_eq!((told.outcome, told.decided_at_ms), (Some("posted"), None));
    assert_eq!((told.refunded, told.refundable), (Some(400), Some(600)));

    // inside one bank all is known at once
    let inside = paid(&api, &payer, &own_bank.account_ref(), 300).await;
    for person in [&payer, &own_bank] {
        let told = life(&api, person, inside.key(), |_| true).await;
        assert!(between(told.decided_at_ms) && told.decided_at_ms == told.credited_at_ms);
        assert_eq!((told.refunded, told.refundable), (Some(0), Some(300)));
    }

    // declined: the payer is told why, and the payee is told nothing of the payer's affairs
    let (poor, signature) = payer.sign(&payer.order(&own_bank.account_ref(), 1_000_000_000));
    let known = api.submit(&payer.session, &poor, &signature, false).await.unwrap();
    assert_eq!(verdict(&known), Some(Verdict::Declined(Code::InsufficientFunds)));
    let told = life(&api, &payer, poor.key(), |_| true).await;
    assert_eq!(
        (told.outcome, told.sentence),
        (Some("INSUFFICIENT_FUNDS"), Some(Code::InsufficientFunds.sentence()))
    );
    assert_eq!((told.credited_at_ms, told.refundable), (None, None));

    let unknown = Key { id: strife_client::TransferId([1; 16]), ..original.key().clone() };
    for (person, key) in [
        (&own_bank, original.key()),
        (&own_bank, poor.key()),
        (&payer, &unknown),
        (&Person::sign_in(&api, "Bank2", "user4").await, original.key()),
    ] {
        assert_eq!(api.life(&person.session, key).await, Err(ApiError::Refused(Refusal::NotFound)), "{key}");
    }
}

#[tokio::test]
async fn a_person_refunds_from_the_history_with_the_client() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let data = tempfile::tempdir().unwrap();
    let client = Client::start(network.settings_in(data.path())).unwrap();
    client.wait_for(Duration::from_secs(10), |view| view.connection.is_online()).await.unwrap();
    let key = Key { bank: BankName::new("Bank2").unwrap(), id: strife_client::TransferId([1; 16]) };
    assert!(matches!(client.life(key).await, Err(Problem::SignedOut)));
    let bank = BankName::new("Bank2").unwrap();
    client.log_in(bank, "user2", Zeroizing::new("pass2".into())).await.unwrap();
    let view = client.wait_for(Duration::from_secs(10), |view| view.live).await.unwrap();
    let account = view.profile.unwrap().accounts[0].number.clone();
    let original = paid(&api, &payer, &format!("{account}@Bank2").parse().unwrap(), 250).await;
    let seen = client.wait_for(Duration::from_secs(10), |view| view.movements_seen > 0).await.unwrap();

    let (movements, _) = client.history_page(&account, None, 5, seen.position).await.unwrap();
    let key = movements[0].key.clone().unwrap();
    assert_eq!(&key, original.key());
    let life = client.life(key.clone()).await.unwrap();
    assert_eq!(life.refundable, Some(250));
    let pay = |cents| Payment {
        from: account.parse().unwrap(),
        to: life.from.clone(),
        amount: Money::new(cents, life.amount.currency()).unwrap(),
        memo: "half of it back".into(),
        refund_of: Some(key.clone()),
    };
    let half = client.pay(pay(125)).await.unwrap();
    let ended = |view: &strife_client::view::View, id| {
        view.orders.iter().find(|order| order.id == id).filter(|order| order.state.is_ended()).cloned()
    };
    let within = Duration::from_secs(20);
    let view = client.wait_for(within, |view| ended(view, half).is_some()).await.unwrap();
    let order = ended(&view, half).unwrap();
    assert_eq!(order.refund_of, Some(key.clone()));
    assert!(matches!(order.state, OrderState::Posted { .. }), "{:?}", order.state);
    let too_much = client.pay(pay(126)).await.unwrap();
    let view = client.wait_for(within, |view| ended(view, too_much).is_some()).await.unwrap();
    let OrderState::Declined { code, sentence } = ended(&view, too_much).unwrap().state else { panic!() };
    assert_eq!((code, sentence), ("REFUND_EXCEEDS", "More than was paid cannot be refunded."));
    assert_eq!(client.life(key).await.unwrap().refunded, Some(125));
    client.stop().await;
}
