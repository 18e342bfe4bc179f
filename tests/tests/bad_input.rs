//! Bad input: each gets its own clear refusal at the outermost door that can know, nothing moves, and no daemon
//! stops.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use strife_certs::authority::{LEAF_DAYS, MemberFiles, Network};
use strife_certs::identity::Identity;
use strife_client::api::{ApiError, Known};
use strife_client::{
    AccountNumber, BankName, Client, Code, Currency, Money, Payment, Problem, Refusal, Session, Verdict,
};
use strife_proto::signing::{SigningKey, Tag};
use strife_proto::statement::Word;
use strife_proto::v1;
use strife_tests::books::{BANKS, Books};
use strife_tests::daemon::log_of;
use strife_tests::network::TestNetwork;
use strife_tests::people::{Person, verdict};
use strife_tests::raw::{bank_client, connect_as, demo_client, gateway_client, issue, with_token};
use strife_tests::until::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

/// What the gateway answers to raw order bytes, signed by the person whatever they are.
async fn submit_raw(network: &TestNetwork, person: &Person, bytes: Vec<u8>) -> Option<Refusal> {
    let signature = person.device.sign(Tag::Order, &bytes);
    let order = v1::SignedOrder { order: Bytes::from(bytes), signature: Some(signature) };
    let message = v1::SubmitRequest { order: Some(order), again: false };
    let mut client = gateway_client(network, &demo_client(network));
    match client.submit(with_token(message, person.session.token())).await {
        Ok(_) => None,
        Err(status) => Some(Refusal::from_status(&status).unwrap_or_else(|| panic!("no refusal: {status}"))),
    }
}

/// Everything that does not need a connection: one demo for all of it.
#[tokio::test]
async fn bad_orders_are_refused_or_declined_each_with_its_own_word_and_move_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let user1 = Person::sign_in(&api, "Bank1", "user1").await;
    let user3 = Person::sign_in(&api, "Bank1", "user3").await;
    let before = Books::settled(&network).await;
    let balance = before.person("Bank1", "user1");
    let good = || v1::Order::decode(user1.order(&"user2@Bank2".parse().unwrap(), 100).encode()).unwrap();

    // refused at the gateway, before anything is recorded anywhere
    let own = user1.account.to_string();
    type Change<'a> = Box<dyn Fn(&mut v1::Order) + 'a>;
    let table: Vec<(&str, Change<'_>, Refusal)> = vec![
        ("zero", Box::new(|o| o.minor_units = 0), Refusal::AmountNotPositive),
        ("negative", Box::new(|o| o.minor_units = -100), Refusal::AmountNotPositive),
        ("the least i64", Box::new(|o| o.minor_units = i64::MIN), Refusal::AmountNotPositive),
        ("unknown bank", Box::new(|o| o.payee_bank = "Bank9".into()), Refusal::UnknownBank),
        ("malformed bank", Box::new(|o| o.payee_bank = "no bank".into()), Refusal::UnknownBank),
        ("a wrong digit", Box::new(|o| o.payee_account = "100000000100".into()), Refusal::BadAccount),
        ("no payee", Box::new(|o| o.payee_account = String::new()), Refusal::BadAccount),
        ("no payer", Box::new(|o| o.payer_account = String::new()), Refusal::BadAccount),
        ("unknown currency", Box::new(|o| o.currency = "QQQ".into()), Refusal::UnknownCurrency),
        ("oversized memo", Box::new(|o| o.memo = "x".repeat(141)), Refusal::BadText),
        ("control characters", Box::new(|o| o.memo = "a\u{1b}[2Jb".into()), Refusal::BadText),
        ("a right-to-left mark", Box::new(|o| o.memo = "\u{202e}gnp".into()), Refusal::BadText),
        ("a malformed id", Box::new(|o| o.id = Bytes::from_static(b"short")), Refusal::BadId),
        ("another version", Box::new(|o| o.version = 2), Refusal::UnknownVersion),
        ("another network", Box::new(|o| o.network = "other".into()), Refusal::WrongNetwork),
        ("another bank's order", Box::new(|o| o.payer_bank = "Bank2".into()), Refusal::NotPayersBank),
        (
            "own account as payee",
            Box::new(move |o| {
                o.payee_bank = "Bank1".into();
                o.payee_account = own.clone();
            }),
            Refusal::SameAccount,
        ),
        (
            "a life of a year",
            Box::new(|o| o.expires_at_ms = strife_client::now_ms() + 366 * 86_400_000),
            Refusal::ExpiryTooFar,
        ),
    ];
    for (what, change, expected) in table {
        let mut order = good();
        change(&mut order);
        let refusal = submit_raw(&network, &user1, order.encode_to_vec()).await;
        assert_eq!(refusal, Some(expected), "{what}");
    }
    for garbage in [Vec::new(), vec![0xff; 64], vec![0; 4000], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        assert!(submit_raw(&network, &user1, garbage).await.is_some());
    }
    // too large for any message of a client: nothing is known of it, and the gateway goes on
    let mut client = gateway_client(&network, &demo_client(&network));
    let huge = v1::SubmitRequest {
        order: Some(v1::SignedOrder { order: Bytes::from(vec![1; 100_000]), signature: None }),
        again: false,
    };
    client.submit(with_token(huge, user1.session.token())).await.expect_err("too large");
    // a signature of megabytes, or none
    let order = user1.sign(&user1.order(&"user2@Bank2".parse().unwrap(), 1)).0;
    for raw in [Bytes::new(), Bytes::from(vec![7; 20_000])] {
        let signature = v1::Signature {
            key_id: Bytes::from_static(&[0; 16]),
            form: Some(v1::signature::Form::Single(raw)),
        };
        let answer = api.submit(&user1.session, &order, &signature, false).await;
        assert_eq!(answer, Err(ApiError::Refused(Refusal::BadSignature)));
    }

    // declined by the bank, recorded once, the same for ever
    let declined = async |cents: i64, to: &str, change: &dyn Fn(&mut strife_proto::domain::Order)| {
        let mut order = user1.order(&to.parse().unwrap(), cents);
        change(&mut order);
        let (order, signature) = user1.sign(&order);
        let mut answers = Vec::new();
        for again in [false, true] {
            answers.push(api.submit(&user1.session, &order, &signature, again).await.expect("an answer"));
        }
        match (verdict(&answers[0]), verdict(&answers[1])) {
            (Some(Verdict::Declined(one)), Some(Verdict::Declined(two))) if one == two => one,
            other => panic!("{other:?}"),
        }
    };
    let unchanged = |_: &mut strife_proto::domain::Order| {};
    let dollars = |order: &mut strife_proto::domain::Order| {
        order.amount = Money::new(100, Currency::new("USD").unwrap()).unwrap();
    };
    let late = |order: &mut strife_proto::domain::Order| order.expires_at_ms = strife_client::now_ms() - 1;
    assert_eq!(declined(balance + 1, "user2@Bank2", &unchanged).await, Code::InsufficientFunds);
    assert_eq!(declined(i64::MAX, "user2@Bank2", &unchanged).await, Code::InsufficientFunds);
    assert_eq!(declined(100, "nobody@Bank2", &unchanged).await, Code::UnknownAccount);
    assert_eq!(declined(100, "nobody@Bank1", &unchanged).await, Code::UnknownAccount);
    assert_eq!(declined(100, "user1@Bank1", &unchanged).await, Code::SameAccount);
    assert_eq!(declined(100, "user2@Bank2", &dollars).await, Code::CurrencyMismatch);
    assert_eq!(declined(100, "user2@Bank2", &late).await, Code::Expired);
    // a euro order to somebody who has none there
    let mut order = user3.order(&"user2@Bank2".parse().unwrap(), 100);
    let accounts = api.accounts(&user3.session).await.unwrap().accounts;
    order.payer = accounts.iter().find(|account| account.currency == "USD").unwrap().number.parse().unwrap();
    let (order, signature) = user3.sign(&order);
    let answer = api.submit(&user3.session, &order, &signature, false).await.unwrap();
    assert_eq!(verdict(&answer), Some(Verdict::Declined(Code::CurrencyMismatch)));

    // another's account as payer: these bytes can never post, and nothing is recorded under the key
    let mut order = user1.order(&"user2@Bank2".parse().unwrap(), 100);
    order.payer = user3.account;
    let (order, signature) = user1.sign(&order);
    let answer = api.submit(&user1.session, &order, &signature, false).await.unwrap();
    assert!(matches!(answer, Known::Ended { statement, .. } if statement.word == Word::Void));
    // what is another's is answered as unrecorded
    let (order, signature) = user3.sign(&user3.order(&"user4@Bank1".parse().unwrap(), 100));
    api.submit(&user3.session, &order, &signature, false).await.unwrap();
    assert_eq!(api.outcome(&user1.session, &order).await, Ok(Known::Unrecorded));
    let answer = api.cancel(&user1.session, &order, &user1.device).await;
    assert_eq!(answer, Err(ApiError::Refused(Refusal::NotAllowed)));
    let history = v1::HistoryRequest { account: user3.account.to_string(), ..Default::default() };
    let answer = api.history(&user1.session, history.clone()).await;
    assert_eq!(answer, Err(ApiError::Refused(Refusal::NotFound)));
    let bad_cursor = v1::HistoryRequest { cursor: Bytes::from_static(b"x"), ..history };
    let answer = api.history(&user3.session, bad_cursor).await;
    assert_eq!(answer, Err(ApiError::Refused(Refusal::BadCursor)));

    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.person("Bank1", "user1"), balance, "nothing of user1's has moved");

    // exactly the balance is fine; empty memo too
    let mut order = user1.order(&"user2@Bank2".parse().unwrap(), balance);
    order.memo = String::new();
    let (order, signature) = user1.sign(&order);
    let answer = api.submit(&user1.session, &order, &signature, false).await.unwrap();
    assert_eq!(verdict(&answer), Some(Verdict::Posted));
    let last = Books::settled(&network).await;
    last.check();
    assert_eq!(last.person("Bank1", "user1"), 0);
}

#[tokio::test]
async fn bad_sessions_certificates_and_garbage_are_turned_away_and_every_daemon_goes_on() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let user1 = Person::sign_in(&api, "Bank1", "user1").await;
    let bank1 = BankName::new("Bank1").unwrap();

    // sessions: none, garbage, one that was ended, one of another certificate
    let mut client = gateway_client(&network, &demo_client(&network));
    let refused = |status: &tonic::Status| Refusal::from_status(status);
    let status = client.accounts(v1::AccountsRequest {}).await.unwrap_err();
    assert_eq!(refused(&status), Some(Refusal::SessionMissing));
    let status = client.life(v1::LifeRequest::default()).await.unwrap_err();
    assert_eq!(refused(&status), Some(Refusal::SessionMissing));
    // with a session, and about nothing
    let mut nothing = tonic::Request::new(v1::LifeRequest::default());
    let bearer = format!("Bearer {}", user1.session.token()).parse().unwrap();
    nothing.metadata_mut().insert("authorization", bearer);
    let status = client.life(nothing).await.unwrap_err();
    assert_eq!(refused(&status), Some(Refusal::Malformed));
    let garbage = Session::from_token(bank1.clone(), "user1", "a.b.c".into());
    assert_eq!(api.accounts(&garbage).await, Err(ApiError::Refused(Refusal::SessionInvalid)));
    let short = Person::sign_in(&api, "Bank1", "user2").await;
    api.log_out(&short.session).await.unwrap();
    assert_eq!(api.accounts(&short.session).await, Err(ApiError::Refused(Refusal::SessionExpired)));
    let (order, signature) = short.sign(&short.order(&"user1@Bank1".parse().unwrap(), 1));
    let other = issue(&network, &Identity::Client("other".into()), LEAF_DAYS);
    let mut stolen = gateway_client(&network, &other);
    let status =
        stolen.accounts(with_token(v1::AccountsRequest {}, user1.session.token())).await.unwrap_err();
    assert_eq!(refused(&status), Some(Refusal::SessionInvalid));

    // wrong password, unknown person: the same answer; then too many tries
    let device = SigningKey::from_seed(&[9; 32]).unwrap();
    let try_in = async |person: &str, password: &str| {
        api.log_in(&bank1, person, Zeroizing::new(password.into()), &device).await.unwrap_err()
    };
    assert_eq!(try_in("user3", "wrong").await, ApiError::Refused(Refusal::BadCredentials));
    assert_eq!(try_in("nobody", "wrong").await, ApiError::Refused(Refusal::BadCredentials));
    let mut last = try_in("user4", "wrong").await;
    for _ in 0..12 {
        last = try_in("user4", "wrong").await;
    }
    assert_eq!(last, ApiError::Refused(Refusal::Throttled));

    // a client's certificate, and an operator's of another bank, at a bank's doors; a gateway's at the
    // operators' door
    let status = bank_client(&network, &demo_client(&network), "Bank1")
        .login(v1::LoginRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused(&status), Some(Refusal::NotAllowed));
    let admin_of_other = issue(
        &network,
        &Identity::Operator { bank: BankName::new("Bank2").unwrap(), name: "sly".into() },
        LEAF_DAYS,
    );
    let gateway = issue(&network, &Identity::Gateway("sly".into()), LEAF_DAYS);
    for files in [&admin_of_other, &gateway, &demo_client(&network)] {
        let channel = connect_as(
            Path::new(&network.description.ca),
            files,
            &network.description.banks["Bank1"].admin_address,
            &Identity::Bank(bank1.clone()),
        );
        let mut admin = v1::bank_admin_client::BankAdminClient::new(channel);
        let status = admin.report(v1::ReportRequest {}).await.unwrap_err();
        assert_eq!(refused(&status), Some(Refusal::NotAllowed));
    }

    // certificates: none, of another authority, expired
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Network::create(&elsewhere.path().join("net"), "demo").unwrap();
    let foreign_client = foreign.issue(&Identity::Client("demo".into()), LEAF_DAYS).unwrap();
    let foreign_gateway = foreign.issue(&Identity::Gateway("g".into()), LEAF_DAYS).unwrap();
    let expired = issue(&network, &Identity::Client("late".into()), -1);
    let unreachable = async |files: &MemberFiles, what: &str| {
        let status = gateway_client(&network, files).banks(v1::BanksRequest {}).await.unwrap_err();
        assert_eq!(refused(&status), None, "{what}: no answer at all, {status}");
    };
    unreachable(&foreign_client, "another authority").await;
    unreachable(&expired, "expired").await;
    let status = bank_client(&network, &foreign_gateway, "Bank1")
        .login(v1::LoginRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused(&status), None);
    no_certificate(&network).await;

    // garbage on every port
    let mut addresses = network.description.gateways.clone();
    for bank in network.description.banks.values() {
        addresses.extend([bank.address.clone(), bank.admin_address.clone()]);
    }
    for address in &addresses {
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 300], &[]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        }
    }

    // nobody has stopped, and the session from before all this still banks
    assert!(api.accounts(&user1.session).await.is_ok());
    // an order is its signer's, whoever carries it: user2's own, signed while signed in, goes with any session
    let answer = api.submit(&user1.session, &order, &signature, false).await.unwrap();
    assert_eq!(verdict(&answer), Some(Verdict::Posted));
    Books::settled(&network).await.check();
    for bank in BANKS {
        let pid = network.description.banks[bank].pid;
        assert!(Path::new(&format!("/proc/{pid}")).exists(), "{bank} is the process that it was");
    }
    // lines gather before they are written
    let log = Path::new(&network.description.logs).join("gateway1");
    until("the refusals are in the log", async || {
        let refusals = log_of(&log, "rpc");
        refusals.contains("SESSION_INVALID") && refusals.contains("refused connection")
    })
    .await;
    let refusals = log_of(&log, "rpc");
    assert!(!refusals.contains("pass1") && !refusals.contains(user1.session.token()));
}

async fn no_certificate(network: &TestNetwork) {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in strife_certs::pem::read_certificates(Path::new(&network.description.ca)).unwrap() {
        roots.add(certificate).unwrap();
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(&network.description.gateways[0]).await.unwrap();
    let name = strife_certs::tls::server_name(&Identity::Gateway("any".into()));
    // in TLS 1.3 the client hears of it with its first read
    let refused = match connector.connect(name, stream).await {
        Err(_) => true,
        Ok(mut stream) => {
            let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            let mut byte = [0; 1];
            !matches!(stream.read(&mut byte).await, Ok(count) if count > 0)
        }
    };
    assert!(refused, "a connection without a certificate");
}

/// What the client itself refuses before anything is queued, and what it does with a session that ends.
#[tokio::test]
async fn the_client_refuses_before_it_queues_and_keeps_its_queue_when_the_session_ends() {
    // sessions that end by themselves
    let network = TestNetwork::start_with(PROGRAM, 1, &[("STRIFE_BANK_SESSION_MS", "4000")]);
    let data = tempfile::tempdir().unwrap();
    let client = Client::start(network.settings_in(data.path())).unwrap();
    let eur = Currency::new("EUR").unwrap();
    let payment = |from: &str, to: &str, memo: &str| Payment {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        amount: Money::new(100, eur).unwrap(),
        memo: memo.into(),
        refund_of: None,
    };
    let anybody = AccountNumber::from_body(1_000_000_001).unwrap().to_string();
    let nobody = client.pay(payment(&anybody, "user2@Bank2", "")).await;
    assert!(matches!(nobody, Err(Problem::SignedOut)), "{nobody:?}");
    client.wait_for(Duration::from_secs(10), |view| view.connection.is_online()).await.unwrap();
    let bank1 = BankName::new("Bank1").unwrap();
    client.log_in(bank1.clone(), "user1", Zeroizing::new("pass1".into()), false).await.unwrap();
    let view = client.wait_for(Duration::from_secs(10), |view| view.live).await.unwrap();
    let own = view.profile.unwrap().accounts[0].number.clone();
    for (bad, expected) in [
        (payment(&own, &format!("{own}@Bank1"), ""), Refusal::SameAccount),
        (payment(&own, "user2@Bank9", ""), Refusal::UnknownBank),
        (payment(&own, "user2@Bank2", "a\nb"), Refusal::BadText),
        (payment(&anybody, "user2@Bank2", ""), Refusal::NotAllowed),
        (
            Payment {
                amount: Money::new(1, Currency::new("USD").unwrap()).unwrap(),
                ..payment(&own, "user2@Bank2", "")
            },
            Refusal::UnknownCurrency,
        ),
    ] {
        match client.pay(bad).await {
            Err(Problem::Refused(refusal)) => assert_eq!(refusal, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(client.view().borrow().orders.is_empty(), "nothing was queued");

    // the session's time runs out: said in words, and the queue is filled and kept all the same
    let view = client.wait_for(Duration::from_secs(15), |view| !view.signed_in).await.unwrap();
    assert!(view.notices.iter().any(|notice| notice.text.contains("queue is kept")), "{:?}", view.notices);
    let id = client.pay(payment(&own, "user2@Bank2", "signed out")).await.unwrap();
    let view = client.view().borrow().clone();
    assert!(view.orders.iter().any(|order| order.id == id && !order.sent));
    client.log_in(bank1, "user1", Zeroizing::new("pass1".into()), false).await.unwrap();
    client
        .wait_for(Duration::from_secs(10), |view| {
            view.orders.iter().any(|order| order.id == id && order.state.is_ended())
        })
        .await
        .unwrap_or_else(|_| panic!("{:#?}", client.view().borrow().clone()));
    client.stop().await;
    Books::settled(&network).await.check();
}
