//! Chaos on real processes: two banks with SQLite on a disk and two gateways under a continuous load, killed (-9),
//! stood still and cut off at random from a seed; then calm, in which everything must come to its end. Judged by
//! the same auditor and the same invariants as the simulator.

pub mod plan;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use strife_client::api::Trust;
use strife_client::{Api, Seams};
use strife_demo::wire::{Way, Wire};
use strife_proto::commit::BankName;
use strife_seams::SystemClock;

use crate::auditor::{Auditor, Judged};
use crate::books::{BANKS, Books};
use crate::daemon::Daemon;
use crate::history;
use crate::invariants::Evidence;
use crate::load::{self, Workload};
use crate::network::TestNetwork;
use crate::people;
use crate::record::Recorder;
use plan::{Fault, Plan, plan};

const GATEWAYS: u8 = 2;
/// People at each bank.
const PEOPLE_PER_BANK: usize = 5;
/// How long a client waits for an answer, in milliseconds.
const RPC_MS: u64 = 2_500;
/// Entries after which a bank takes a snapshot: so few that kills meet one that is being written, and starts read one.
const SNAPSHOT_ENTRIES: u64 = 40;
/// How long everything may take to come to its end, in seconds.
const CALM_SECONDS_MAX: u64 = 60;

/// What a gateway has of its own: phases that end within the faults.
const GATEWAY_SETTINGS: [(&str, &str); 7] = [
    ("STRIFE_GATEWAY_TIMEOUTS__PREPARE_MS", "700"),
    ("STRIFE_GATEWAY_TIMEOUTS__DECIDE_MS", "700"),
    ("STRIFE_GATEWAY_TIMEOUTS__DELIVER_MS", "700"),
    ("STRIFE_GATEWAY_TIMEOUTS__CONNECT_MS", "700"),
    ("STRIFE_GATEWAY_TIMEOUTS__RPC_MS", "2000"),
    ("STRIFE_GATEWAY_RESOLVER__INTERVAL_MS", "300"),
    ("STRIFE_GATEWAY_RESOLVER__PROMISE_AGE_MS_MAX", "600"),
];

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the auditor judged.
    pub judged: Judged,
    /// Processes killed.
    pub kills: usize,
    /// Processes stood still.
    pub stops: usize,
    /// Wires cut.
    pub cuts: usize,
    /// Journal entries of all banks.
    pub entries: usize,
    /// Snapshots that were compared with their journals.
    pub snapshots: usize,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            judged: self.judged.plus(other.judged),
            kills: self.kills + other.kills,
            stops: self.stops + other.stops,
            cuts: self.cuts + other.cuts,
            entries: self.entries + other.entries,
            snapshots: self.snapshots + other.snapshots,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judged { orders, posted, declined, cancelled, never, refunds, refunds_declined, .. } =
            self.judged;
        let Judged { replies, readings, .. } = self.judged;
        write!(
            f,
            "{orders} orders, {replies} replies and {readings} balances judged; {posted} posted, {declined} declined \
             ({cancelled} cancelled), {never} that can never post, {refunds} refunded and {refunds_declined} refunds \
             declined; {} kills, {} stops, {} cuts; {} journal entries",
            self.kills, self.stops, self.cuts, self.entries
        )
    }
}

/// One run: what it came to, and what was wrong.
pub type Verdicts = (Counts, Vec<String>);

struct World {
    network: TestNetwork,
    daemons: Vec<Daemon>,
    wires: Vec<Arc<Wire>>,
    wrong: Vec<String>,
}

/// Runs one seed with faults for so long; `program` is the demo as a program.
pub async fn run(program: &str, seed: u64, faults: Duration) -> Verdicts {
    let mut world = World::begin(program).await;
    let auditor = history::auditor(&world.network).await;
    let recorder = Recorder::new(auditor, Arc::new(SystemClock), false);
    let people = world.people().await;
    world.take_over().await;
    let workload = Arc::new(Workload::new(people, usize::MAX / 1_000, recorder.clone(), seed));
    let living = tokio::spawn(load::live(workload.clone(), world.apis(), Seams::of_this_machine()));

    let faults_ms = u64::try_from(faults.as_millis()).unwrap_or(u64::MAX);
    let plan = plan(seed, faults_ms, world.daemons.len(), world.wires.len());
    world.suffer(&plan, faults).await;
    world.make_calm();
    workload.be_calm();
    let deadline = Instant::now() + Duration::from_secs(CALM_SECONDS_MAX);
    while !workload.done.load(Ordering::Relaxed) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if !workload.done.load(Ordering::Relaxed) {
        let heard = recorder.last_heard();
        world
            .wrong
            .push(format!("I9: not every order has ended after {CALM_SECONDS_MAX} s of calm: {heard:?}"));
    }
    living.abort();
    let counted = |is: fn(&Fault) -> bool| plan.iter().filter(|(_, fault)| is(fault)).count();
    let counts = Counts {
        kills: counted(|fault| matches!(fault, Fault::Kill(_))),
        stops: counted(|fault| matches!(fault, Fault::StandStill(_))),
        cuts: counted(|fault| matches!(fault, Fault::Cut(..))),
        ..Counts::default()
    };
    world.judge(&recorder.auditor(), counts).await
}

impl World {
    async fn begin(program: &str) -> Self {
        let network = TestNetwork::start(program, GATEWAYS);
        Self { network, daemons: Vec::new(), wires: Vec::new(), wrong: Vec::new() }
    }

    /// Puts daemons of its own, with wires between them, in the place of the demo's. Banks are the first ones.
    async fn take_over(&mut self) {
        for bank in BANKS {
            let daemon = Daemon::instead_of(&self.network, bank);
            let mut daemon = daemon.set("STRIFE_BANK_SNAPSHOT_ENTRIES", SNAPSHOT_ENTRIES);
            daemon.start_bank(&self.network).await;
            self.daemons.push(daemon);
        }
        for number in 1..=usize::from(GATEWAYS) {
            let mut daemon = Daemon::instead_of(&self.network, &format!("gateway{number}"));
            for bank in BANKS {
                let wire = Wire::to(&self.network.description.banks[bank].address).await.unwrap();
                daemon = daemon.with_bank_at(bank, &wire.address);
                self.wires.push(wire);
            }
            for (key, value) in GATEWAY_SETTINGS {
                daemon = daemon.set(key, value);
            }
            daemon.start();
            self.daemons.push(daemon);
        }
        for gateway in &self.network.description.gateways {
            self.wires.push(Wire::to(gateway).await.unwrap());
        }
    }

    /// The gateways as the clients see them, over their wires.
    fn apis(&self) -> Vec<Api> {
        let trust = Trust::load(&self.network.client_settings()).unwrap();
        let wires = &self.wires[self.wires.len() - usize::from(GATEWAYS)..];
        let api = |wire: &Arc<Wire>| Api::new(trust.clone(), &wire.address, RPC_MS, Seams::of_this_machine());
        wires.iter().map(api).collect()
    }

    async fn people(&self) -> Vec<load::Person> {
        let api = self.network.api(0);
        let mut people = Vec::new();
        for bank in BANKS {
            for number in 1..=PEOPLE_PER_BANK {
                let login = format!("user{number}");
                let people::Person { session, device, account } =
                    people::Person::sign_in(&api, bank, &login).await;
                people.push(load::Person { login, bank: session.bank.clone(), account, device, session });
            }
        }
        people
    }

    /// Lives through the faults.
    async fn suffer(&mut self, plan: &Plan, faults: Duration) {
        let begun = tokio::time::Instant::now();
        for (at_ms, fault) in plan {
            tokio::time::sleep_until(begun + Duration::from_millis(*at_ms)).await;
            match *fault {
                Fault::Kill(daemon) => {
                    self.ended_by_itself(daemon);
                    self.daemons[daemon].kill();
                }
                Fault::Start(daemon) => self.daemons[daemon].start(),
                Fault::StandStill(daemon) => self.daemons[daemon].stand_still(true),
                Fault::GoOn(daemon) => self.daemons[daemon].stand_still(false),
                Fault::Cut(wire, towards, back) => self.wires[wire].set(towards, back),
                Fault::Heal(wire) => self.wires[wire].set(Way::Open, Way::Open),
            }
        }
        tokio::time::sleep_until(begun + faults).await;
    }

    fn ended_by_itself(&mut self, daemon: usize) {
        let daemon = &mut self.daemons[daemon];
        if !daemon.is_running() {
            self.wrong.push(format!("{} has ended by itself: {}", daemon.name, daemon.words()));
        }
    }

    /// Everything runs and every wire is whole.
    fn make_calm(&mut self) {
        for wire in &self.wires {
            wire.set(Way::Open, Way::Open);
        }
        for daemon in 0..self.daemons.len() {
            self.ended_by_itself(daemon);
            self.daemons[daemon].stand_still(false);
            if !self.daemons[daemon].is_running() {
                self.daemons[daemon].start();
            }
        }
    }

    async fn judge(mut self, auditor: &Auditor, mut counts: Counts) -> Verdicts {
        let books = Books::settled(&self.network).await;
        for (bank, report) in &books.reports {
            self.wrong.extend(auditor.compare(&BankName::new(bank).unwrap(), report));
        }
        self.wrong.extend(history::faults_of_running(&self.network).await);
        // gateways first, so that banks have nobody to wait for
        for daemon in (0..self.daemons.len()).rev() {
            self.ended_by_itself(daemon);
            self.daemons[daemon].stop().await;
            let daemon = &self.daemons[daemon];
            self.wrong.extend(history::panics_in(&daemon.name, &daemon.all_words()));
        }
        let (judged, violations) = auditor.judge();
        counts.judged = judged;
        self.wrong.extend(violations);
        match history::journals(self.network.dir()) {
            Err(error) => self.wrong.push(error),
            Ok(journals) => {
                counts.entries = journals.values().map(|journal| journal.entries.len()).sum();
                counts.snapshots = journals.values().map(|journal| journal.snapshots).sum();
                self.wrong.extend(Evidence::gather(journals, auditor).check(true));
            }
        }
        drop(self.daemons);
        self.network.end().await;
        (counts, self.wrong)
    }
}
