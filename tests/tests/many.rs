//! Many orders over one stream: each has its own end, the same as alone, and what is asked for twice happens once.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::collections::BTreeMap;

use strife_client::api::Known;
use strife_client::{Api, ApiError, Refusal, Submission};
use strife_proto::commit::Verdict;
use strife_proto::domain::Order;
use strife_proto::signing::{SigningKey, Tag};
use strife_proto::statement::Word;
use strife_tests::books::Books;
use strife_tests::network::TestNetwork;
use strife_tests::people::Person;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
/// Good orders to each bank: with the others more than a gateway keeps unanswered.
const EACH: usize = 600;

fn submission(person: &Person, order: &Order) -> Submission {
    let (order, signature) = person.sign(order);
    Submission { order, signature, again: false }
}

/// How often each answer came, each place answered once.
async fn stream(api: &Api, person: &Person, many: &[Submission]) -> (Vec<String>, BTreeMap<String, usize>) {
    let mut told = vec![None; many.len()];
    let hears = |place: usize, answer: Result<Known, ApiError>| {
        let text = match answer {
            Ok(Known::Ended { statement, .. }) => format!("{:?}", statement.word),
            other => format!("{other:?}"),
        };
        assert_eq!(told[place].replace(text), None, "answered twice");
    };
    api.submit_many(&person.session, many, hears).await;
    let told: Vec<String> = told.into_iter().map(Option::unwrap).collect();
    let mut counts = BTreeMap::new();
    told.iter().for_each(|text| *counts.entry(text.clone()).or_insert(0) += 1);
    (told, counts)
}

#[tokio::test]
async fn each_order_of_a_stream_has_its_own_end_and_the_same_stream_again_changes_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let before = Books::settled(&network).await;
    let person = Person::sign_in(&api, "Bank1", "user1").await;
    let mut many: Vec<Submission> = (0..EACH)
        .flat_map(|_| ["user2@Bank2", "user2@Bank1"])
        .map(|to| submission(&person, &person.order(&to.parse().unwrap(), 1)))
        .collect();
    let plain = person.order(&"user2@Bank2".parse().unwrap(), 1);
    // what is refused, void or declined, in the midst of the others
    let elsewhere = Order { network: "another".into(), ..plain.clone() };
    let mut theirs = person.order(&"user2@Bank2".parse().unwrap(), 1);
    theirs.key.bank = strife_client::BankName::new("Bank2").unwrap();
    let mut forged = submission(&person, &plain);
    forged.signature = SigningKey::from_seed(&[7; 32]).unwrap().sign(Tag::Order, forged.order.bytes());
    let nobody = person.order(&"nobody@Bank2".parse().unwrap(), 1);
    let all =
        [submission(&person, &elsewhere), submission(&person, &theirs), forged, submission(&person, &nobody)];
    for (place, odd) in all.into_iter().enumerate() {
        many.insert(100 * (place + 1), odd);
    }

    let (told, counts) = stream(&api, &person, &many).await;
    let posted = format!("{:?}", Word::Outcome(Verdict::Posted));
    assert_eq!(counts.get(&posted), Some(&(2 * EACH)), "{counts:?}");
    let refused = |refusal| format!("{:?}", Err::<Known, _>(ApiError::Refused(refusal)));
    assert_eq!(told[100], refused(Refusal::WrongNetwork));
    assert_eq!(told[200], refused(Refusal::NotPayersBank));
    assert_eq!(told[300], format!("{:?}", Word::Void));
    assert!(told[400].contains("UnknownAccount"), "{}", told[400]);

    let again: Vec<Submission> = many.iter().map(|one| Submission { again: true, ..one.clone() }).collect();
    assert_eq!(stream(&api, &person, &again).await.0, told);
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(before.customers_total(), after.customers_total());
    network.end().await;
}

#[tokio::test]
async fn a_stream_without_a_session_or_with_too_much_at_once_ends_and_pays_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let person = Person::sign_in(&api, "Bank1", "user1").await;
    let stranger = Person::sign_in(&api, "Bank2", "user1").await;
    let order = submission(&person, &person.order(&"user2@Bank2".parse().unwrap(), 1));
    // somebody else's session, of another bank
    let (told, _) = stream(
        &api,
        &Person { session: stranger.session.clone(), ..person.clone() },
        std::slice::from_ref(&order),
    )
    .await;
    assert!(told[0].contains("NotPayersBank"), "{told:?}");
    let mut torn = person.clone();
    torn.session = strife_client::Session::from_token(torn.session.bank.clone(), "user1", "torn".into());
    let (told, _) = stream(&api, &torn, std::slice::from_ref(&order)).await;
    assert!(told[0].contains("SessionInvalid"), "{told:?}");
    let (told, _) = stream(&api, &person, &[order]).await;
    assert!(told[0].contains("Posted"), "only now: {told:?}");
    network.end().await;
}

/// A session that ends in the midst of a stream.
#[tokio::test]
async fn what_a_stream_did_not_answer_when_its_session_ended_is_unknown_and_is_paid_once() {
    let network = TestNetwork::start_with(PROGRAM, 1, &[("STRIFE_BANK_SESSION_MS", "2000")]);
    let api = network.api(0);
    let before = Books::settled(&network).await.person("Bank1", "user2");
    let person = Person::sign_in(&api, "Bank1", "user1").await;
    let to = "user2@Bank1".parse().unwrap();
    let many: Vec<Submission> = (0..20_000).map(|_| submission(&person, &person.order(&to, 1))).collect();
    // a new session: those that have signed may be over
    let again = Person::sign_in(&api, "Bank1", "user1").await;
    let (told, counts) = stream(&api, &again, &many).await;
    let posted = format!("{:?}", Word::Outcome(Verdict::Posted));
    assert!(told.iter().all(|text| *text == posted || text.contains("Unknown")), "{counts:?}");
    assert!(counts[&posted] > 0 && counts[&posted] < many.len(), "{counts:?}");

    // the client asks again until all have ended, with new sessions
    let mut open: Vec<Submission> =
        many.iter().map(|one| Submission { again: true, ..one.clone() }).collect();
    while !open.is_empty() {
        let again = Person::sign_in(&api, "Bank1", "user1").await;
        let (told, counts) = stream(&api, &again, &open).await;
        let before = open.len();
        open = open.into_iter().zip(told).filter(|(_, told)| *told != posted).map(|(one, _)| one).collect();
        assert!(open.len() < before, "{counts:?}");
    }
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.person("Bank1", "user2"), before + 20_000);
    network.end().await;
}
