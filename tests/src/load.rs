//! The workload: people who pay, refund, cancel, read, send twice, re-use ids and forge, over the production client's
//! own API; and in the end insist until every order of theirs has come to its end. The simulator and the tests
//! on real processes put the same load on the same programs.

mod insist;
mod refunds;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use strife_client::api::Known;
use strife_client::{AccountNumber, Api, BankName, Currency, Money, Seams, Session, TransferId};
use strife_proto::commit::{Key, OrderHash};
use strife_proto::domain::{AccountRef, Order, PayeeAccount, ReceivedOrder};
use strife_proto::signing::{SigningKey, Tag};
use strife_proto::v1;

use crate::auditor::{Audited, Nature};
use crate::record::Recorder;

/// Tries of one order before it is left for the calm phase.
const TRIES_MAX: usize = 4;
/// How long an order that is not to expire may be decided, in milliseconds: a week.
const LIFE_MS: i64 = 7 * 86_400_000;
/// Tasks that pay for one person at a time.
pub const TASKS_PER_PERSON: usize = 3;

/// One person with an account, a device and a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// Log-in name.
    pub login: String,
    /// The person's bank.
    pub bank: BankName,
    /// The account that pays.
    pub account: AccountNumber,
    /// The registered device.
    pub device: Arc<SigningKey>,
    /// A session that lasts longer than the load.
    pub session: Session,
}

/// An order with its signature, ready to be sent by whoever holds it.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The order.
    pub order: ReceivedOrder,
    /// As it is sent.
    pub signature: v1::Signature,
    /// Whose session it is sent with.
    pub person: usize,
    /// What it may come to.
    pub nature: Nature,
}

/// What outlives a crash of the people's machine: what they have written down on paper.
#[derive(Debug)]
pub struct Workload {
    /// Who takes part.
    pub people: Vec<Person>,
    /// What happened.
    pub recorder: Recorder,
    orders: Mutex<BTreeMap<(Key, OrderHash), Signed>>,
    remaining: Vec<AtomicUsize>,
    /// A bank that does not keep to the protocol, to which some orders pay.
    pub nonsense: Option<BankName>,
    /// Everything open is insisted on, once nothing new remains.
    pub calm: AtomicBool,
    /// Everything has ended.
    pub done: AtomicBool,
    starts: AtomicUsize,
    seed: u64,
}

impl Workload {
    /// So many orders by each of these people.
    pub fn new(people: Vec<Person>, orders_each: usize, recorder: Recorder, seed: u64) -> Self {
        let remaining = people.iter().map(|_| AtomicUsize::new(orders_each)).collect();
        Self {
            people,
            recorder,
            orders: Mutex::default(),
            remaining,
            nonsense: None,
            calm: AtomicBool::new(false),
            done: AtomicBool::new(false),
            starts: AtomicUsize::new(0),
            seed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Key, OrderHash), Signed>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing new is begun from now on; what is open is insisted on.
    pub fn be_calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        for count in &self.remaining {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Orders that nobody has begun yet.
    pub fn remaining(&self) -> usize {
        self.remaining.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// An order that has left its maker, for somebody hostile: best one that has not ended.
    pub fn some_order(&self, random: &mut SmallRng) -> Option<Signed> {
        let orders = self.lock();
        let (open, ended): (Vec<_>, Vec<_>) = self.recorder.with(|auditor| {
            let left = auditor.orders().iter().filter(|(_, audited)| audited.asked.is_some());
            let (open, ended) = left.partition::<Vec<_>, _>(|(_, audited)| audited.ended.is_none());
            let ids = |some: Vec<(&(Key, OrderHash), &Audited)>| {
                some.into_iter().map(|(id, _)| id.clone()).collect()
            };
            (ids(open), ids(ended))
        });
        let from = if open.is_empty() || random.random_ratio(1, 4) { &ended } else { &open };
        from.choose(random).and_then(|id| orders.get(id)).cloned()
    }

    fn write_down(&self, signed: &Signed) {
        self.lock().insert((signed.order.key().clone(), signed.order.hash()), signed.clone());
    }
}

/// The people's machine, from its start to its crash, with the gateways that it knows.
pub async fn live(workload: Arc<Workload>, apis: Vec<Api>, seams: Seams) {
    let start = workload.starts.fetch_add(1, Ordering::Relaxed) as u64;
    for task in 0..workload.people.len() * TASKS_PER_PERSON {
        let seed = workload.seed ^ (start << 32) ^ (task as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let one = One {
            workload: workload.clone(),
            apis: apis.clone(),
            seams: seams.clone(),
            person: task / TASKS_PER_PERSON,
            random: SmallRng::seed_from_u64(seed),
        };
        tokio::spawn(one.pay_all());
    }
    insist::insist(workload, apis).await;
}

/// One of the things that a person does at a time.
struct One {
    workload: Arc<Workload>,
    apis: Vec<Api>,
    seams: Seams,
    person: usize,
    random: SmallRng,
}

impl One {
    async fn pay_all(mut self) {
        loop {
            let remaining = &self.workload.remaining[self.person];
            let taken =
                remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if taken.is_err() {
                return;
            }
            self.pay_one().await;
            if self.random.random_ratio(1, 8) {
                self.read().await;
            }
            self.pause(0..400).await;
        }
    }

    async fn pause(&mut self, ms: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(ms))).await;
    }

    fn me(&self) -> &Person {
        &self.workload.people[self.person]
    }

    fn payee(&mut self) -> AccountRef {
        let people = &self.workload.people;
        let other = loop {
            let other = self.random.random_range(0..people.len());
            if other != self.person {
                break &people[other];
            }
        };
        let account = match self.random.random_range(0..20) {
            0 => "nobody".parse().unwrap(),
            1..6 => other.login.parse().unwrap(),
            _ => PayeeAccount::Number(other.account),
        };
        AccountRef { account, bank: other.bank.clone() }
    }

    fn order(&mut self) -> Signed {
        let may_expire = self.random.random_ratio(1, 12);
        let life_ms = if may_expire { self.random.random_range(1..1500) } else { LIFE_MS };
        let order = self.order_of(life_ms);
        self.sign(&order, Nature { may_expire, ..Nature::default() })
    }

    fn order_of(&mut self, life_ms: i64) -> Order {
        let now_ms = self.seams.now_ms();
        Order {
            network: self.apis[0].network().to_owned(),
            key: Key { bank: self.me().bank.clone(), id: TransferId(self.seams.new_id().unwrap()) },
            payer: self.me().account,
            payee: self.payee(),
            amount: Money::new(self.random.random_range(1..6_000), Currency::new("EUR").unwrap()).unwrap(),
            memo: String::new(),
            made_at_ms: now_ms,
            expires_at_ms: now_ms + life_ms,
            refund_of: None,
        }
    }

    fn sign(&self, order: &Order, nature: Nature) -> Signed {
        let received = ReceivedOrder::decode(order.encode()).unwrap();
        let key = if nature.forged {
            Arc::new(SigningKey::from_seed(&[7; 32]).unwrap())
        } else {
            self.me().device.clone()
        };
        let signature = key.sign(Tag::Order, received.bytes());
        let signed = Signed { order: received, signature, person: self.person, nature };
        self.workload.write_down(&signed);
        signed
    }

    /// Makes one order and does with it what people, networks and thieves do.
    async fn pay_one(&mut self) {
        if self.random.random_ratio(1, 4) && self.refund().await {
            return;
        }
        match self.random.random_range(0..40) {
            0 | 1 => return self.send_what_is_refused().await,
            2 | 3 if self.workload.nonsense.is_some() => return self.pay_to_nonsense().await,
            _ => {}
        }
        let signed = self.order();
        match self.random.random_range(0..20) {
            // somebody else was first with the same id: a forger, or this person's own mistake
            0 => {
                let rival = self.rival(&signed, true);
                self.send(&rival, false).await;
                self.try_often(&signed).await;
            }
            1 | 2 => {
                let rival = self.rival(&signed, false);
                let (one, two) = (self.copy(), self.copy());
                tokio::join!(one.send_once(&signed), two.send_once(&rival));
                self.try_often(&signed).await;
                self.try_often(&rival).await;
            }
            // the same bytes several times at once, through both gateways
            3..6 => {
                let copies: Vec<One> = (0..3).map(|_| self.copy()).collect();
                join_all(copies.into_iter().map(|copy| copy.send_once(&signed))).await;
                self.try_often(&signed).await;
            }
            // a cancel races it
            6..9 => {
                let (one, two) = (self.copy(), self.copy());
                tokio::join!(one.send_once(&signed), two.cancel_once(&signed));
                self.try_often(&signed).await;
            }
            // cancelled before it is ever sent, and sent all the same
            9 => {
                self.copy().cancel_once(&signed).await;
                self.try_often(&signed).await;
            }
            _ => self.try_often(&signed).await,
        }
    }

    /// An order that every door must refuse: of another bank, or for another network.
    async fn send_what_is_refused(&mut self) {
        let mut order = self.order_of(LIFE_MS);
        let others: Vec<BankName> = self
            .workload
            .people
            .iter()
            .map(|person| person.bank.clone())
            .filter(|bank| *bank != order.key.bank)
            .collect();
        match others.choose(&mut self.random) {
            Some(other) if self.random.random() => order.key.bank = other.clone(),
            _ => order.network = "another".to_owned(),
        }
        let signed = self.sign(&order, Nature { refused: true, ..Nature::default() });
        let (one, two) = (self.copy(), self.copy());
        tokio::join!(one.send_once(&signed), two.send_once(&signed));
    }

    /// Pays to a bank that answers with nonsense; sometimes takes it back at once.
    async fn pay_to_nonsense(&mut self) {
        let Some(bank) = self.workload.nonsense.clone() else { return };
        let mut order = self.order_of(LIFE_MS);
        order.payee = AccountRef { account: PayeeAccount::Number(order.payer), bank };
        let signed = self.sign(&order, Nature { never_votes: true, ..Nature::default() });
        self.copy().send_once(&signed).await;
        if self.random.random_ratio(1, 3) {
            self.copy().cancel_once(&signed).await;
        }
    }

    /// Another order under the same id.
    fn rival(&mut self, signed: &Signed, forged: bool) -> Signed {
        let mut order = signed.order.order().clone();
        order.payee = self.payee();
        order.amount = Money::new(self.random.random_range(1..6_000), order.amount.currency()).unwrap();
        self.sign(&order, Nature { forged, ..signed.nature })
    }

    /// Another hand of the same person.
    fn copy(&mut self) -> One {
        One {
            workload: self.workload.clone(),
            apis: self.apis.clone(),
            seams: self.seams.clone(),
            person: self.person,
            random: SmallRng::seed_from_u64(self.random.random()),
        }
    }

    async fn try_often(&mut self, signed: &Signed) {
        for number in 0..TRIES_MAX {
            if self.send(signed, number > 0).await {
                return;
            }
            self.pause(50..400).await;
        }
    }

    async fn send_once(mut self, signed: &Signed) {
        self.pause(0..30).await;
        self.send(signed, false).await;
    }

    async fn cancel_once(mut self, signed: &Signed) {
        self.pause(0..120).await;
        let api = self.apis.choose(&mut self.random).unwrap().clone();
        let recorder = self.workload.recorder.clone();
        recorder.asks_cancel(&signed.order, signed.nature);
        let reply = api.cancel(&self.me().session, &signed.order, &self.me().device).await;
        recorder.hears(&signed.order, &reply);
    }

    /// Sends it through one of the gateways; tells whether it has ended.
    async fn send(&mut self, signed: &Signed, again: bool) -> bool {
        let api = self.apis.choose(&mut self.random).unwrap().clone();
        submit(&self.workload, &api, signed, again).await
    }

    async fn read(&mut self) {
        let api = self.apis.choose(&mut self.random).unwrap().clone();
        let recorder = &self.workload.recorder;
        let asked = recorder.begins_reading();
        if let Ok(reply) = api.accounts(&self.me().session).await {
            recorder.reads(asked, &self.me().bank, &reply.accounts);
        }
    }
}

async fn submit(workload: &Workload, api: &Api, signed: &Signed, again: bool) -> bool {
    let session = &workload.people[signed.person].session;
    workload.recorder.asks(&signed.order, signed.nature);
    let reply = api.submit(session, &signed.order, &signed.signature, again).await;
    workload.recorder.hears(&signed.order, &reply);
    matches!(reply, Ok(Known::Ended { .. }))
}
