//! A gateway that was taken over: a real certificate, its own code. It can delay, refuse and read; it cannot
//! make, alter, redirect or misreport a payment.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use prost::Message;
use rustls::ServerConfig;
use strife_certs::authority::{LEAF_DAYS, MemberFiles};
use strife_certs::identity::Identity;
use strife_certs::roster::Roster;
use strife_certs::tls::Material;
use strife_client::api::{ApiError, Trust};
use strife_client::view::OrderState;
use strife_client::{Api, BankName, Client, Payment, Refusal, Seams, Submission, Verdict};
use strife_proto::commit::{Acknowledgement, Placement, Vote};
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::{PublicKey, SigningKey, Tag};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;
use strife_proto::v1::bank_client::BankClient;
use strife_proto::v1::gateway_server::{Gateway, GatewayServer};
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;
use strife_proto::v1::numbered_reply::Result as Answer;
use strife_proto::v1::transfer_reply::State;
use strife_tests::books::Books;
use strife_tests::network::TestNetwork;
use strife_tests::people::{Person, verdict};
use strife_tests::raw::{RawLink, bank_client, issue, link_refusal};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

fn evil_key() -> SigningKey {
    SigningKey::from_seed(&[66; 32]).unwrap()
}

fn evil_gateway(network: &TestNetwork) -> MemberFiles {
    issue(network, &Identity::Gateway("evil".into()), LEAF_DAYS)
}

fn signed(order: &ReceivedOrder, signature: &v1::Signature) -> Option<v1::SignedOrder> {
    Some(v1::SignedOrder { order: order.bytes().clone(), signature: Some(signature.clone()) })
}

fn statement_of(reply: Reply) -> v1::Statement {
    match reply {
        Reply::Statement(statement) => statement,
        Reply::Ended(ended) => ended.statement.expect("a statement"),
        other => panic!("no statement: {other:?}"),
    }
}

fn word(statement: &v1::Statement) -> Word {
    Statement::read(statement, "demo").unwrap().word
}

fn forge(order: &ReceivedOrder, bank: &str, word: Word) -> v1::Statement {
    let statement = Statement {
        word,
        bank: BankName::new(bank).unwrap(),
        key: order.key().clone(),
        hash: order.hash(),
        at_ms: strife_client::now_ms(),
        position: 1,
    };
    statement.sign("demo", &evil_key())
}

#[tokio::test]
async fn a_bank_believes_no_forged_altered_redirected_or_replayed_message() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let before = Books::settled(&network).await;
    let files = evil_gateway(&network);
    let payers_bank = RawLink::open(bank_client(&network, &files, "Bank1")).await.unwrap();
    let payees_bank = RawLink::open(bank_client(&network, &files, "Bank2")).await.unwrap();
    let prepare = async |order: &ReceivedOrder, signature: &v1::Signature| {
        let message = v1::Prepare { order: signed(order, signature) };
        statement_of(payees_bank.ask(Asked::Prepare(message)).await)
    };
    let decide = async |order: &ReceivedOrder, signature: &v1::Signature, vote: &v1::Statement| {
        let message = v1::Decide { order: signed(order, signature), vote: Some(vote.clone()) };
        payers_bank.ask(Asked::Decide(message)).await
    };

    // an order that the gateway made itself: the promise is worth nothing, the bytes are void for ever
    let (own, _) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 50_000));
    let own_signature = evil_key().sign(Tag::Order, own.bytes());
    let vote = prepare(&own, &own_signature).await;
    assert_eq!(word(&statement_of(decide(&own, &own_signature, &vote).await)), Word::Void);

    // a person's order with another amount, and one with another payee: altered bytes are void
    let (honest, signature) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 1_000));
    for change in [
        |order: &mut v1::Order| order.minor_units = 90_000,
        |order: &mut v1::Order| order.payee_account = "user5".into(),
    ] {
        let mut wire = v1::Order::decode(honest.bytes().clone()).unwrap();
        change(&mut wire);
        let altered = ReceivedOrder::decode(Bytes::from(wire.encode_to_vec())).unwrap();
        let vote = prepare(&altered, &signature).await;
        assert_eq!(word(&statement_of(decide(&altered, &signature, &vote).await)), Word::Void);
    }

    // a vote that the payee's bank never gave, one about another order, one of another bank
    let forged = forge(&honest, "Bank2", Word::Vote(Vote::Yes));
    assert_eq!(link_refusal(&decide(&honest, &signature, &forged).await), "BAD_SIGNATURE");
    assert_eq!(link_refusal(&decide(&honest, &signature, &vote).await), "OUT_OF_PLACE");

    // an outcome that the payer's bank never gave, and a genuine one about another order
    let post = async |order: &ReceivedOrder, statement: &v1::Statement| {
        let message = v1::Deliver { statement: Some(statement.clone()), order: order.bytes().clone() };
        payees_bank.ask(Asked::Post(message)).await
    };
    let forged = forge(&honest, "Bank1", Word::Outcome(Verdict::Posted));
    assert_eq!(link_refusal(&post(&honest, &forged).await), "BAD_SIGNATURE");
    let vote = prepare(&honest, &signature).await;
    let outcome = statement_of(decide(&honest, &signature, &vote).await);
    assert_eq!(word(&outcome), Word::Outcome(Verdict::Posted));
    assert_eq!(link_refusal(&post(&own, &outcome).await), "OUT_OF_PLACE");
    let mut altered = outcome.clone();
    altered.body = {
        let mut body = v1::StatementBody::decode(outcome.body.clone()).unwrap();
        body.order_hash = Bytes::copy_from_slice(&own.hash().0);
        body.key.as_mut().unwrap().id = Bytes::copy_from_slice(&own.key().id.0);
        body.encode_to_vec().into()
    };
    assert_eq!(link_refusal(&post(&own, &altered).await), "BAD_SIGNATURE");

    // an acknowledgement that the payee's bank never gave does not end what is owed
    let acknowledged = Word::Acknowledgement(Acknowledgement::Credited(Placement::Account));
    let forged = v1::Acknowledge { acknowledgement: Some(forge(&honest, "Bank2", acknowledged)) };
    assert_eq!(link_refusal(&payers_bank.ask(Asked::Acknowledge(forged)).await), "BAD_SIGNATURE");

    // a genuine Post, sent ten times over: credited once. Releasing what is posted changes nothing
    for _ in 0..10 {
        let acknowledgement = statement_of(post(&honest, &outcome).await);
        assert_eq!(word(&acknowledgement), acknowledged);
    }
    let message = v1::Deliver { statement: Some(outcome.clone()), order: honest.bytes().clone() };
    assert_eq!(link_refusal(&payees_bank.ask(Asked::Release(message)).await), "OUT_OF_PLACE");

    // the honest gateway's resolver ends every promise; only the honest order has moved money
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.person("Bank1", "user1"), before.person("Bank1", "user1") - 1_000);
    assert_eq!(after.person("Bank2", "user2"), before.person("Bank2", "user2") + 1_000);
    assert_eq!(after.person("Bank2", "user5"), before.person("Bank2", "user5"));
}

/// What the hostile gateway answers to a client.
#[derive(Clone, Debug)]
enum Lie {
    /// With this statement, whatever was asked.
    Say(v1::Statement),
    /// Passes the order on to the banks, lets it post, and says that it was refused.
    PostAndRefuse,
    /// Nothing ever.
    Pending,
}

/// A gateway of its own code.
struct Hostile {
    lie: Mutex<Lie>,
    seen: Mutex<Vec<v1::LoginRequest>>,
    /// The order of which it tells the life.
    told: Mutex<Bytes>,
    payers_bank: BankClient<Channel>,
    payees_bank: BankClient<Channel>,
    accounts: Vec<v1::Account>,
}

impl Hostile {
    async fn answer(&self, order: Option<v1::SignedOrder>) -> Result<Response<v1::TransferReply>, Status> {
        let lie = self.lie.lock().unwrap().clone();
        let reply =
            |state| Ok(Response::new(v1::TransferReply { state: Some(state), acknowledgement: None }));
        match lie {
            Lie::Say(statement) => reply(State::Ended(statement)),
            Lie::Pending => reply(State::Pending(v1::Pending {})),
            Lie::PostAndRefuse => {
                if let Some(order) = order {
                    let payees_bank = RawLink::open(self.payees_bank.clone()).await?;
                    let prepare = v1::Prepare { order: Some(order.clone()) };
                    let vote = statement_of(payees_bank.ask(Asked::Prepare(prepare)).await);
                    let payers_bank = RawLink::open(self.payers_bank.clone()).await?;
                    let decide = v1::Decide { order: Some(order), vote: Some(vote) };
                    let outcome = statement_of(payers_bank.ask(Asked::Decide(decide)).await);
                    assert_eq!(word(&outcome), Word::Outcome(Verdict::Posted));
                }
                Err(Refusal::Malformed.into())
            }
        }
    }
}

/// Its door.
struct Door(Arc<Hostile>);

impl std::ops::Deref for Door {
    type Target = Hostile;

    fn deref(&self) -> &Hostile {
        &self.0
    }
}

#[tonic::async_trait]
impl Gateway for Door {
    async fn banks(&self, _: Request<v1::BanksRequest>) -> Result<Response<v1::BanksReply>, Status> {
        let status = |name: &str| v1::BankStatus { name: name.into(), reachable: true };
        // a bank of its own, too, whose keys only it has
        let banks = vec![status("Bank1"), status("Bank2"), status("EvilBank")];
        Ok(Response::new(v1::BanksReply { network: "demo".into(), banks }))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginReply>, Status> {
        let message = request.into_inner();
        self.seen.lock().unwrap().push(message.clone());
        self.payers_bank.clone().login(message).await
    }

    async fn logout(&self, _: Request<v1::LogoutRequest>) -> Result<Response<v1::LogoutReply>, Status> {
        Ok(Response::new(v1::LogoutReply {}))
    }

    async fn accounts(&self, _: Request<v1::AccountsRequest>) -> Result<Response<v1::AccountsReply>, Status> {
        Ok(Response::new(v1::AccountsReply { accounts: self.accounts.clone(), position: 1 }))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::TransferReply>, Status> {
        self.answer(request.into_inner().order).await
    }

    type SubmitManyStream = Pin<Box<dyn Stream<Item = Result<v1::SubmitManyReply, Status>> + Send>>;

    /// Answers what was never asked, then the first order twice, and nothing else.
    async fn submit_many(
        &self,
        _: Request<Streaming<v1::SubmitManyRequest>>,
    ) -> Result<Response<Self::SubmitManyStream>, Status> {
        let reply = self.answer(None).await?.into_inner();
        let result = |number| v1::NumberedReply { number, result: Some(Answer::Reply(reply.clone())) };
        let replies = vec![result(7), result(u64::MAX), result(0), result(0)];
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(v1::SubmitManyReply { replies })]))))
    }

    async fn outcome(&self, _: Request<v1::OutcomeRequest>) -> Result<Response<v1::TransferReply>, Status> {
        self.answer(None).await
    }

    async fn cancel(&self, _: Request<v1::CancelRequest>) -> Result<Response<v1::TransferReply>, Status> {
        self.answer(None).await
    }

    async fn history(&self, _: Request<v1::HistoryRequest>) -> Result<Response<v1::HistoryReply>, Status> {
        Ok(Response::new(v1::HistoryReply::default()))
    }

    async fn life(&self, _: Request<v1::LifeRequest>) -> Result<Response<v1::LifeReply>, Status> {
        let Lie::Say(statement) = self.lie.lock().unwrap().clone() else {
            return Err(Status::unavailable("later"));
        };
        let order = self.told.lock().unwrap().clone();
        Ok(Response::new(v1::LifeReply { order, outcome: Some(statement), ..Default::default() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchReply, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let accounts = self.accounts.clone();
        tokio::spawn(async move {
            let first = v1::WatchReply { accounts, position: 1, movements: Vec::new() };
            let _ = sender.send(Ok(first)).await;
            sender.closed().await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Serves the hostile gateway with its real certificate, and tells where.
async fn serve(network: &TestNetwork, hostile: Arc<Hostile>, files: &MemberFiles) -> String {
    let authority = Path::new(&network.description.ca);
    let material = Material { authority, certificate: &files.certificate, private_key: &files.private_key };
    let config: Arc<ServerConfig> = material.server().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            if sender.send(Ok::<_, std::io::Error>(Connection(stream))).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(GatewayServer::new(Door(hostile)))
            .serve_with_incoming(ReceiverStream::new(receiver)),
    );
    address
}

struct Connection(tokio_rustls::server::TlsStream<tokio::net::TcpStream>);

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_client_believes_no_gateway_about_money_and_shows_it_no_password() {
    let network = TestNetwork::start(PROGRAM, 1);
    let honest = network.api(0);
    let before = Books::settled(&network).await;
    let payer = Person::sign_in(&honest, "Bank1", "user1").await;
    let files = evil_gateway(&network);
    let hostile = Arc::new(Hostile {
        lie: Mutex::new(Lie::Pending),
        seen: Mutex::default(),
        told: Mutex::default(),
        payers_bank: bank_client(&network, &files, "Bank1"),
        payees_bank: bank_client(&network, &files, "Bank2"),
        accounts: honest.accounts(&payer.session).await.unwrap().accounts,
    });
    let address = serve(&network, hostile.clone(), &files).await;
    let trust = Trust::load(&network.client_settings()).unwrap();
    let api = Api::new(trust.clone(), &address, 5_000, Seams::of_this_machine());

    // misreporting: forged by its own key, genuine but about another order, genuine but no outcome
    let (order, signature) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 300));
    let (other, other_signature) = payer.sign(&payer.order(&"user2@Bank2".parse().unwrap(), 200));
    let posted = honest.submit(&payer.session, &other, &other_signature, false).await.unwrap();
    assert_eq!(verdict(&posted), Some(Verdict::Posted));
    let link = RawLink::open(bank_client(&network, &files, "Bank1")).await.unwrap();
    let inquire = v1::Inquire { order: signed(&other, &other_signature) };
    let genuine = statement_of(link.ask(Asked::Inquire(inquire)).await);
    let payees = RawLink::open(bank_client(&network, &files, "Bank2")).await.unwrap();
    let prepare = v1::Prepare { order: signed(&order, &signature) };
    let vote = statement_of(payees.ask(Asked::Prepare(prepare)).await);
    let lies = [
        forge(&order, "Bank1", Word::Outcome(Verdict::Posted)),
        forge(&order, "Bank2", Word::Outcome(Verdict::Posted)),
        forge(&order, "EvilBank", Word::Outcome(Verdict::Posted)),
        genuine,
        vote,
    ];
    *hostile.told.lock().unwrap() = order.bytes().clone();
    for lie in lies {
        *hostile.lie.lock().unwrap() = Lie::Say(lie);
        let answer = api.life(&payer.session, order.key()).await;
        assert!(matches!(answer, Err(ApiError::FalseStatement(_))), "{answer:?}");
        let answer = api.submit(&payer.session, &order, &signature, false).await;
        assert!(matches!(answer, Err(ApiError::FalseStatement(_))), "{answer:?}");
        let one = Submission { order: order.clone(), signature: signature.clone(), again: true };
        let mut answers = Vec::new();
        let hears = |place, answer| answers.push((place, answer));
        api.submit_many(&payer.session, &[one.clone(), one], hears).await;
        assert!(
            matches!(&answers[..], [(0, Err(ApiError::FalseStatement(_))), (1, Err(ApiError::Unknown(_)))]),
            "{answers:?}"
        );
        let answer = api.outcome(&payer.session, &order).await;
        assert!(matches!(answer, Err(ApiError::FalseStatement(_))), "{answer:?}");
        let answer = api.cancel(&payer.session, &order, &payer.device).await;
        assert!(matches!(answer, Err(ApiError::FalseStatement(_))), "{answer:?}");
    }

    // false keys: a bank that only the gateway knows gets no log-in at all, and a roster that the network has
    // not signed is not a roster
    let evil_bank = BankName::new("EvilBank").unwrap();
    let password = || Zeroizing::new("pass1".to_owned());
    let answer = api.log_in(&evil_bank, "user1", password(), &payer.device).await;
    assert_eq!(answer, Err(ApiError::Refused(Refusal::UnknownBank)));
    assert!(hostile.seen.lock().unwrap().is_empty(), "nothing was sent");
    let real = Roster::clone(&trust.roster);
    let mut false_roster = real.clone();
    false_roster.version += 1;
    let bank1 = BankName::new("Bank1").unwrap();
    false_roster.banks.get_mut(&bank1).unwrap().signing = *evil_key().public();
    let false_roster = false_roster.sign(&evil_key());
    let (_, roster_key): (String, PublicKey) =
        strife_certs::authority::read_trust(Path::new(&network.description.trust)).unwrap();
    assert!(Roster::verify(&false_roster, "demo", &roster_key).is_err());

    // reading a password: what passes is sealed, bound to the client's key, and used up
    let session = api.log_in(&bank1, "user1", password(), &payer.device).await.unwrap();
    let seen = hostile.seen.lock().unwrap().clone();
    let passed = seen[0].encode_to_vec();
    for secret in [&b"pass1"[..], b"user1"] {
        assert!(!passed.windows(secret.len()).any(|bytes| bytes == secret), "readable on the way");
    }
    let replayed = bank_client(&network, &files, "Bank1").login(seen[0].clone()).await.unwrap_err();
    assert_eq!(Refusal::from_status(&replayed), Some(Refusal::StaleLogin));
    // the token that it has seen is worth nothing on its own connection to an honest gateway
    let own = {
        let settings = network.client_settings();
        let tls = strife_config::TlsFiles {
            certificate: files.certificate.clone(),
            private_key: files.private_key.clone(),
        };
        Api::new(
            Trust::load(&strife_client::ClientSettings { tls, ..settings }).unwrap(),
            &network.description.gateways[0],
            5_000,
            Seams::of_this_machine(),
        )
    };
    assert!(matches!(own.accounts(&session).await, Err(ApiError::Refused(Refusal::NotAllowed))));

    // refusing what it has posted: the client keeps the order, asks an honest gateway, and hears the truth
    *hostile.lie.lock().unwrap() = Lie::PostAndRefuse;
    let data = tempfile::tempdir().unwrap();
    let id = {
        let mut settings = network.settings_in(data.path());
        settings.gateways = vec![address];
        let client = Client::start(settings).unwrap();
        client.wait_for(Duration::from_secs(10), |view| view.connection.is_online()).await.unwrap();
        client.log_in(bank1.clone(), "user1", password(), false).await.unwrap();
        client
            .wait_for(Duration::from_secs(10), |view| {
                view.profile.as_ref().is_some_and(|profile| !profile.accounts.is_empty())
            })
            .await
            .unwrap();
        let money = payer.order(&"user2@Bank2".parse().unwrap(), 4_200).amount;
        let payment = Payment {
            from: payer.account,
            to: "user2@Bank2".parse().unwrap(),
            amount: money,
            memo: String::new(),
            refund_of: None,
        };
        let id = client.pay(payment).await.unwrap();
        let parked = |state: &OrderState| matches!(state, OrderState::Parked { .. });
        client
            .wait_for(Duration::from_secs(10), |view| {
                view.orders.iter().any(|o| o.id == id && parked(&o.state))
            })
            .await
            .unwrap();
        client.stop().await;
        id
    };
    let client = Client::start(network.settings_in(data.path())).unwrap();
    client.wait_for(Duration::from_secs(10), |view| view.connection.is_online()).await.unwrap();
    client.log_in(bank1, "user1", password(), false).await.unwrap();
    client
        .wait_for(Duration::from_secs(15), |view| {
            view.orders.iter().any(|o| o.id == id && matches!(o.state, OrderState::Posted { .. }))
        })
        .await
        .expect("the honest gateway tells the outcome");
    client.stop().await;

    let after = Books::settled(&network).await;
    after.check();
    let lost = before.person("Bank1", "user1") - after.person("Bank1", "user1");
    // 200 and 4,200 were ordered and are posted; so is the 300 that the hostile gateway only prepared and lied
    // about: the person had signed it, and the honest gateway's resolver drove its promise to its end
    assert_eq!(lost, 4_700);
    let known = honest.outcome(&payer.session, &order).await.unwrap();
    assert_eq!(verdict(&known), Some(Verdict::Posted));
}
