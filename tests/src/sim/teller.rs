//! One person at the production client: its worker, its sync, an outbox on a disk that can lose power.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use strife_client::device::{KeyFiles, SecretStore, device_key};
use strife_client::view::OrderState;
use strife_client::worker::Parts;
use strife_client::{Client, Currency, Money, Payment, Seams, TransferId};
use strife_proto::domain::{AccountRef, PayeeAccount};

use super::fixture::{NETWORK, fixture, password_of};
use super::outbox::{OutboxDisk, SimOutbox};
use crate::load::{Person, Workload};

/// What outlives a crash of this person's machine.
#[derive(Debug)]
pub struct Teller {
    /// Who.
    pub person: Person,
    /// The outbox's disk.
    pub disk: OutboxDisk,
    /// Orders of which the client said "queued".
    pub queued: Mutex<BTreeSet<TransferId>>,
    /// Everything in the outbox has ended.
    pub done: AtomicBool,
    remaining: AtomicUsize,
    starts: AtomicUsize,
    workload: Arc<Workload>,
    data_dir: PathBuf,
    seed: u64,
}

impl Teller {
    /// So many orders by one person.
    pub fn new(person: Person, orders: usize, workload: Arc<Workload>, data_dir: PathBuf, seed: u64) -> Self {
        Self {
            person,
            disk: OutboxDisk::new(if seed.is_multiple_of(2) { 3 } else { 60 }),
            queued: Mutex::default(),
            done: AtomicBool::new(false),
            remaining: AtomicUsize::new(orders),
            starts: AtomicUsize::new(0),
            workload,
            data_dir,
            seed,
        }
    }

    /// Orders that were said to be queued and are not on the disk: there must be none.
    pub fn lost(&self) -> Vec<TransferId> {
        let orders = self.disk.orders();
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued.iter().filter(|id| !orders.contains_key(id)).copied().collect()
    }
}

/// The machine, from its start to its crash.
pub async fn live(teller: Arc<Teller>, seams: Seams) {
    let start = teller.starts.fetch_add(1, Ordering::Relaxed) as u64;
    let mut random = SmallRng::seed_from_u64(teller.seed ^ (start << 40));
    let settings =
        strife_client::ClientSettings { data_dir: teller.data_dir.clone(), ..fixture().client.clone() };
    let secrets: Arc<dyn SecretStore> = Arc::new(KeyFiles::new(&teller.data_dir.join("keys")));
    // made before, so that it is the same for the same seed
    device_key(secrets.as_ref(), NETWORK, &teller.person.bank, &teller.person.login).unwrap();
    let outbox = Box::new(SimOutbox::open(&teller.disk, teller.workload.recorder.clone()));
    let client = Client::start_with(settings, Parts { outbox, secrets, seams }).unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..250))).await;
        let view = client.view().borrow().clone();
        if !view.signed_in {
            let password = password_of(&teller.person.login);
            // while a bank is away or a clock is wrong this fails, and the person tries again
            let _ = client.log_in(teller.person.bank.clone(), &teller.person.login, password).await;
            continue;
        }
        if teller.remaining.load(Ordering::Relaxed) > 0 {
            pay(&teller, &client, &mut random).await;
            continue;
        }
        if teller.workload.calm.load(Ordering::Relaxed) {
            client.set_offline(false).await;
            // parked ones were refused by a wrong clock
            for order in view.orders.iter().filter(|order| matches!(order.state, OrderState::Parked { .. })) {
                client.retry(Some(order.id)).await;
            }
            let ended = teller.disk.orders().values().all(|stored| stored.is_ended());
            teller.done.store(ended, Ordering::Relaxed);
        }
    }
}

async fn pay(teller: &Teller, client: &Client, random: &mut SmallRng) {
    let people = &teller.workload.people;
    let Some(other) = people.choose(random) else { return };
    let payment = Payment {
        from: teller.person.account,
        to: AccountRef { account: PayeeAccount::Number(other.account), bank: other.bank.clone() },
        amount: Money::new(random.random_range(1..3_000), Currency::new("EUR").unwrap()).unwrap(),
        memo: String::new(),
        refund_of: None,
    };
    let Ok(id) = client.pay(payment).await else { return };
    teller.queued.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    teller.remaining.fetch_sub(1, Ordering::Relaxed);
    teller.workload.recorder.note(&format!("queued {id}"));
    match random.random_range(0..10) {
        0 => drop(client.cancel(id).await),
        1 => client.set_offline(true).await,
        2 | 3 => client.set_offline(false).await,
        4 => client.send_again(id).await,
        5 => client.retry(None).await,
        _ => {}
    }
}
