//! "Keep me signed in", on a real network: what is kept is gone on with by the next start, and by nobody else.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strife_client::credentials::NOWHERE;
use strife_client::device::{KeyFiles, SecretError, SecretStore};
use strife_client::outbox::Outbox;
use strife_client::view::View;
use strife_client::{BankName, Client, ClientSettings, Parts, Seams};
use strife_tests::network::TestNetwork;
use zeroize::Zeroizing;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
const WITHIN: Duration = Duration::from_secs(15);

/// A keyring in memory that outlives the client.
#[derive(Clone, Debug, Default)]
struct Ring(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Ring {
    fn held(&self) -> Vec<String> {
        self.0.lock().unwrap().values().map(|held| String::from_utf8_lossy(held).into_owned()).collect()
    }
}

impl SecretStore for Ring {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        Ok(self.0.lock().unwrap().get(name).cloned().map(Zeroizing::new))
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        self.0.lock().unwrap().insert(name.to_owned(), secret.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "ring of the test".into()
    }
}

fn start(settings: &ClientSettings, rings: &[&Ring]) -> Client {
    let sessions = rings.iter().map(|ring| Arc::new((*ring).clone()) as Arc<dyn SecretStore>).collect();
    let parts = Parts {
        outbox: Box::new(Outbox::open(&settings.data_dir).unwrap()),
        secrets: Arc::new(KeyFiles::new(&settings.data_dir.join("keys"))),
        sessions,
        seams: Seams::of_this_machine(),
    };
    Client::start_with(settings.clone(), parts).unwrap()
}

async fn sign_in(client: &Client, keep: bool) {
    client.wait_for(WITHIN, |view| view.connection.is_online()).await.unwrap();
    client
        .log_in(BankName::new("Bank1").unwrap(), "user1", String::from("pass1").into(), keep)
        .await
        .unwrap();
}

async fn wait(client: &Client, what: &str, condition: impl Fn(&View) -> bool) -> View {
    let met = client.wait_for(WITHIN, condition).await;
    met.unwrap_or_else(|_| panic!("{what}: {:#?}", client.view().borrow().clone()))
}

#[tokio::test]
async fn a_kept_session_is_gone_on_with_until_its_person_signs_out() {
    let network = TestNetwork::start(PROGRAM, 1);
    let data = tempfile::tempdir().unwrap();
    let settings = network.settings_in(data.path());
    let ring = Ring::default();

    let client = start(&settings, &[&ring]);
    let view = wait(&client, "looked through", |view| !view.resuming).await;
    assert!(!view.signed_in && !view.kept);
    assert_eq!(view.session_place, "the ring of the test");
    sign_in(&client, true).await;
    let view = wait(&client, "kept", |view| view.kept && view.live).await;
    assert_eq!(view.session_place, "the ring of the test");
    client.stop().await;
    let held = ring.held();
    assert!(held.len() == 1 && !held[0].contains("pass1"), "one session, no password");

    // the next start goes on with it, live, and can pay with the device key
    let client = start(&settings, &[&ring]);
    let view = wait(&client, "resumed", |view| view.live).await;
    assert!(view.signed_in && view.kept);
    let profile = view.profile.unwrap();
    assert_eq!((profile.person.as_str(), profile.bank.as_str()), ("user1", "Bank1"));
    assert!(!profile.display_name.is_empty());
    let payment = strife_client::Payment {
        from: profile.accounts[0].number.parse().unwrap(),
        to: "user2@Bank2".parse().unwrap(),
        amount: strife_client::Money::new(100, strife_client::Currency::new("EUR").unwrap()).unwrap(),
        memo: String::new(),
        refund_of: None,
    };
    let id = client.pay(payment).await.unwrap();
    let ended = |view: &View| view.orders.iter().any(|order| order.id == id && order.state.is_ended());
    wait(&client, "paid", ended).await;
    client.log_out().await;
    client.stop().await;
    assert_eq!(ring.held(), Vec::<String>::new(), "signing out takes it out of the store");

    let client = start(&settings, &[&ring]);
    let view = wait(&client, "looked through", |view| !view.resuming).await;
    assert!(!view.signed_in && view.notices.is_empty(), "{:?}", view.notices);
    client.stop().await;
    network.end().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_said_and_what_is_not_to_be_kept_is_not() {
    let network = TestNetwork::start(PROGRAM, 1);
    let data = tempfile::tempdir().unwrap();
    let settings = network.settings_in(data.path());
    let ring = Ring::default();

    // no store: told, and nothing anywhere on the disk
    let client = start(&settings, &[]);
    sign_in(&client, true).await;
    let view = wait(&client, "told", |view| !view.notices.is_empty()).await;
    assert!(view.notices[0].text.contains("asked for your password again"), "{:?}", view.notices);
    assert!(view.signed_in && !view.kept && view.session_place == NOWHERE);
    client.stop().await;
    let files = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.is_file()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("eyJ"), "a token in {}", file.display());
    }

    // kept, then signed in again without keeping: the first is forgotten
    let client = start(&settings, &[&ring]);
    sign_in(&client, true).await;
    wait(&client, "kept", |view| view.kept).await;
    sign_in(&client, false).await;
    client.stop().await;
    assert_eq!(ring.held(), Vec::<String>::new());
    network.end().await;
}

#[tokio::test]
async fn a_kept_session_that_is_no_good_any_more_ends_in_words_and_leaves_the_store() {
    let network = TestNetwork::start(PROGRAM, 1);
    let data = tempfile::tempdir().unwrap();
    let settings = network.settings_in(data.path());
    let ring = Ring::default();
    let kept = async || {
        let client = start(&settings, &[&ring]);
        sign_in(&client, true).await;
        wait(&client, "kept", |view| view.kept).await;
        client.stop().await;
        assert_eq!(ring.held().len(), 1);
    };
    let refused = async |settings: &ClientSettings, words: &str| {
        let client = start(settings, &[&ring]);
        let view = wait(&client, words, |view| !view.notices.is_empty()).await;
        assert!(!view.signed_in && !view.kept, "{view:#?}");
        assert!(view.notices[0].text.contains(words), "{:?}", view.notices);
        client.stop().await;
        assert_eq!(ring.held(), Vec::<String>::new(), "{words}");
    };

    // its device key is gone
    kept().await;
    let key = data.path().join("keys/device.demo.Bank1.user1");
    std::fs::rename(&key, data.path().join("aside")).unwrap();
    refused(&settings, "device's key is not here").await;
    std::fs::rename(data.path().join("aside"), &key).unwrap();

    // the bank does not know it any more: the first call ends it
    kept().await;
    let copy = ring.0.lock().unwrap().clone();
    let profile = data.path().join("profile.json");
    let client = start(&settings, &[&ring]);
    wait(&client, "resumed", |view| view.live).await;
    let signed_in = std::fs::read(&profile).unwrap();
    client.log_out().await;
    client.stop().await;
    let ended = async || {
        *ring.0.lock().unwrap() = copy.clone();
        std::fs::write(&profile, &signed_in).unwrap();
        let client = start(&settings, &[&ring]);
        let judged = |view: &View| !view.resuming && (view.live || !view.signed_in);
        let view = wait(&client, "judged", judged).await;
        client.stop().await;
        view.notices.iter().any(|notice| notice.text.contains("queue is kept")) && !view.kept
    };
    // the bank hears of the log-out in its own time
    let heard = async { while !ended().await {} };
    tokio::time::timeout(WITHIN, heard).await.expect("a session that was ended at the bank ends here");
    assert_eq!(ring.held(), Vec::<String>::new());

    // the profile says that its person has signed out, whatever the store has
    kept().await;
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace("\"signed_out\":false", "\"signed_out\":true")).unwrap();
    let client = start(&settings, &[&ring]);
    let view = wait(&client, "looked through", |view| !view.resuming).await;
    assert!(!view.signed_in);
    client.stop().await;
    assert_eq!(ring.held(), Vec::<String>::new());

    // its time is over
    kept().await;
    for held in ring.0.lock().unwrap().values_mut() {
        let mut session: serde_json::Value = serde_json::from_slice(held).unwrap();
        assert!(session["expires_at_ms"].as_i64().unwrap() > strife_client::now_ms());
        session["expires_at_ms"] = strife_client::now_ms().into();
        *held = session.to_string().into_bytes();
    }
    refused(&settings, "session has ended").await;
    network.end().await;
}
