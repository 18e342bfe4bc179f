//! One simulation, from its seed to its verdict.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use strife_bank::Listeners;
use strife_bank::journal::{JournalRead, OpenStore};
use strife_bank::ledger::state::Own;
use strife_bank::passwords::Cost;
use strife_bank::run::Outside;
use strife_client::Api;
use strife_client::api::Trust;
use strife_daemon::lifecycle::Stop;
use strife_proto::commit::BankName;
use turmoil::Sim;

use super::disk::{Disk, Image};
use super::faults::{Fault, HOSTILE, PEOPLE, Plan, TELLER, plan};
use super::fixture::{
    BANK_PORTS, BANKS, GATEWAY_PORT, GATEWAYS, NETWORK, OPENING, PEOPLE_PER_BANK, TIGHT_CAP, fixture,
    with_caps,
};
use super::hostile;
use super::nonsense;
use super::seams::{BEGINS_AT_MS, MachineClock, SimPort, seams};
use super::teller::{self, Teller};
use crate::auditor::{Auditor, Judged};
use crate::invariants::{Evidence, Journal};
use crate::load::{self, Workload};
use crate::record::Recorder;

/// How far each step moves time, in milliseconds.
const TICK_MS: u64 = 10;
/// How long things go wrong, in simulated milliseconds.
const FAULTS_MS: u64 = 5_000;
/// How long everything may take to come to its end after that.
const CALM_MS_MAX: u64 = 60_000;
/// Orders of each person who uses the API.
const ORDERS_EACH: usize = 36;
/// Orders of the person at the production client.
const TELLER_ORDERS: usize = 16;
/// A run with fewer orders, faults or posted transfers than this shows nothing.
const ORDERS_MIN: usize = 200;
const FAULTS_MIN: usize = 20;
const POSTED_MIN: usize = 60;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Everything follows from it.
    pub seed: u64,
    /// Keep the trace's lines.
    pub verbose: bool,
}

/// What a simulation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the auditor judged.
    pub judged: Judged,
    /// Faults that met something: a machine that ran, a disk that was written to.
    pub faults: usize,
    /// Crashes, those that a failed sync led to included.
    pub crashes: usize,
    /// Journal entries.
    pub entries: usize,
    /// Syncs of the banks' disks.
    pub syncs: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Digest of the trace.
    pub digest: [u8; 32],
    /// Lines of the trace.
    pub lines: u64,
    /// The trace, if it was kept.
    pub trace: Option<String>,
}

/// Why a simulation failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that repeats it.
    pub seed: u64,
    /// What was wrong.
    pub wrong: Vec<String>,
    /// What it came to until then.
    pub counts: Counts,
}

/// A simulated machine, from outside.
#[derive(Clone, Debug)]
struct Machine {
    clock: MachineClock,
    starts: Arc<AtomicU64>,
    /// What its process said when it ended by itself.
    ended: Arc<Mutex<Option<String>>>,
    seed: u64,
}

type ReadJournal = fn(&dyn JournalRead, Own, &Path) -> Result<Journal, String>;

struct World<'a> {
    sim: Sim<'a>,
    true_ms: Arc<AtomicI64>,
    machines: BTreeMap<String, Machine>,
    disks: BTreeMap<String, Disk>,
    dir: PathBuf,
    recorder: Recorder,
    random: SmallRng,
    /// How often each machine crashed.
    crashes: BTreeMap<String, usize>,
    /// Faults that met something, beside crashes and those of disks.
    effects: usize,
    down: BTreeSet<String>,
    restarts: Vec<(u64, String)>,
    /// What was seen to be wrong on the way.
    wrong: Vec<String>,
}

/// Simulates one seed.
///
/// # Errors
/// [`Failure`], with the seed that repeats it; a panic anywhere is one.
pub fn simulate(run: Run) -> Result<Counts, Box<Failure>> {
    notice_panics();
    PANICS.take();
    let result = catch_unwind(AssertUnwindSafe(|| simulate_one(run)));
    // one that a task died of is seen by nobody else
    let panics: Vec<String> = PANICS.take().into_iter().map(|what| format!("a panic: {what}")).collect();
    match result {
        Ok(result) if panics.is_empty() => result,
        Ok(Ok(counts)) => Err(Box::new(Failure { seed: run.seed, wrong: panics, counts })),
        Ok(Err(failure)) => Err(Box::new(Failure { wrong: [panics, failure.wrong].concat(), ..*failure })),
        Err(_) => Err(Box::new(Failure { seed: run.seed, wrong: panics, counts: Counts::default() })),
    }
}

thread_local! {
    /// Panics of this thread, which is the whole of a simulation, since the last was begun.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Has every panic noted, beside what is done with it anyway.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
}

fn simulate_one(run: Run) -> Result<Counts, Box<Failure>> {
    // made first, since it spawns tasks at its first time
    let furnishing = fixture();
    align_task_numbers();
    let dir = tempfile::Builder::new().prefix("strife-sim-").tempdir_in(scratch()).unwrap();
    let mut random = SmallRng::seed_from_u64(run.seed);
    let count = if run.seed.is_multiple_of(2) { 2 } else { 3 };
    let banks: Vec<String> = BANKS[..count].iter().map(|name| (*name).to_owned()).collect();
    // in a third of all seeds banks let each other owe little
    let tight = run.seed % 3 == 1;
    let true_ms = Arc::new(AtomicI64::new(BEGINS_AT_MS));
    let recorder = {
        let mut auditor = Auditor::default();
        for person in &furnishing.people {
            auditor.account(&person.bank, person.account, &person.login, OPENING);
        }
        auditor.caps_are_tight = tight;
        Recorder::new(auditor, Arc::new(MachineClock::new(true_ms.clone())), run.verbose)
    };
    let mut everybody: Vec<_> =
        fixture().people.iter().filter(|p| banks.iter().any(|b| b == p.bank.as_str())).cloned().collect();
    let at_the_client = everybody.remove(random.random_range(0..PEOPLE_PER_BANK));
    let mut workload =
        Workload::new(everybody, ORDERS_EACH * 6 / (3 * count), recorder.clone(), random.random());
    // the last of three banks answers with nonsense where it takes no part
    workload.nonsense = BANKS.get(count).map(|name| BankName::new(name).unwrap());
    let workload = Arc::new(workload);
    let teller = Arc::new(Teller::new(
        at_the_client,
        TELLER_ORDERS,
        workload.clone(),
        dir.path().join(TELLER),
        random.random(),
    ));
    let plan = plan(&mut random, &banks, FAULTS_MS);
    let sim = turmoil::Builder::new()
        .rng_seed(random.random())
        .tick_duration(Duration::from_millis(TICK_MS))
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(4096)
        .enable_random_order()
        .build();
    let mut world = World {
        sim,
        true_ms,
        machines: BTreeMap::new(),
        disks: BTreeMap::new(),
        dir: dir.path().to_owned(),
        recorder,
        random,
        crashes: BTreeMap::new(),
        effects: 0,
        down: BTreeSet::new(),
        restarts: Vec::new(),
        wrong: Vec::new(),
    };
    world.furnish(&banks, tight, &workload, &teller);
    world.live(&plan, &workload, &teller).map_err(|wrong| world.fails(run.seed, wrong))?;
    let counts = world.counts();
    let wrong = world.judge(&teller, &counts);
    if wrong.is_empty() { Ok(counts) } else { Err(world.fails(run.seed, wrong)) }
}

/// tokio drops the tasks of a crashed machine in an order that depends on their numbers, modulo 4, and counts
/// these for the whole process. Where nobody else spawns meanwhile, every simulation begins at the same one.
fn align_task_numbers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        loop {
            let number = tokio::spawn(std::future::ready(())).id().to_string();
            if number.parse::<u64>().unwrap() % 4 == 3 {
                return;
            }
        }
    });
}

/// Where projections are: in memory, where the machine has such a place.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

impl World<'_> {
    fn machine(&mut self, name: &str) -> Machine {
        let machine = Machine {
            clock: MachineClock::new(self.true_ms.clone()),
            starts: Arc::default(),
            ended: Arc::default(),
            seed: self.random.random(),
        };
        self.machines.insert(name.to_owned(), machine.clone());
        machine
    }

    fn furnish(&mut self, banks: &[String], tight: bool, workload: &Arc<Workload>, teller: &Arc<Teller>) {
        for name in banks {
            let bank = BankName::new(name).unwrap();
            let mut image = fixture().images[&bank].clone();
            if tight {
                image.batches.push(with_caps(&bank, &image, TIGHT_CAP));
            }
            let disk = Disk::holding(image);
            self.disks.insert(name.clone(), disk.clone());
            let machine = self.machine(name);
            let data_dir = self.dir.join(name);
            let recorder = self.recorder.clone();
            self.sim.host(name.as_str(), move || {
                run_bank(bank.clone(), disk.clone(), machine.clone(), data_dir.clone(), recorder.clone())
            });
        }
        for name in GATEWAYS {
            let machine = self.machine(name);
            // the last bank of three, where it takes no part, answers every gateway with nonsense
            let banks = BANKS.map(str::to_owned).to_vec();
            let recorder = self.recorder.clone();
            self.sim.host(name, move || run_gateway(name, banks.clone(), machine.clone(), recorder.clone()));
        }
        for name in BANKS.iter().filter(|name| !banks.iter().any(|bank| bank == *name)) {
            let (bank, seed) = (BankName::new(name).unwrap(), self.random.random());
            let (workload, disks) = (workload.clone(), self.disks.clone());
            self.sim.host(*name, move || nonsense::live(bank.clone(), workload.clone(), disks.clone(), seed));
        }
        let machine = self.machine(PEOPLE);
        let paying = workload.clone();
        self.sim.host(PEOPLE, move || {
            let (machine, workload) = (machine.clone(), paying.clone());
            async move {
                let seams = machine.seams();
                // read at each start, as a process does: a TLS session of another run is not taken up again
                let trust = Trust::load(&fixture().client)?;
                let api = |name: &&str| {
                    let address = format!("{name}:{GATEWAY_PORT}");
                    Api::new(trust.clone(), &address, 2_000, seams.clone())
                };
                load::live(workload, GATEWAYS.iter().map(api).collect(), seams.clone()).await;
                Ok(())
            }
        });
        let machine = self.machine(HOSTILE);
        let (attacked, disks) = (workload.clone(), self.disks.clone());
        self.sim.host(HOSTILE, move || {
            let (machine, workload, disks) = (machine.clone(), attacked.clone(), disks.clone());
            async move {
                hostile::live(workload, disks, machine.seams(), machine.seed).await;
                Ok(())
            }
        });
        let machine = self.machine(TELLER);
        let teller = teller.clone();
        self.sim.host(TELLER, move || {
            let (machine, teller) = (machine.clone(), teller.clone());
            async move {
                teller::live(teller, machine.seams()).await;
                Ok(())
            }
        });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.true_ms.load(Ordering::Relaxed) - BEGINS_AT_MS).unwrap_or(0)
    }

    /// The fault phase, then the calm phase.
    fn live(
        &mut self,
        plan: &Plan,
        workload: &Arc<Workload>,
        teller: &Arc<Teller>,
    ) -> Result<(), Vec<String>> {
        let mut plan = plan.iter().peekable();
        let mut calm_since = None;
        loop {
            let now_ms = self.now_ms();
            while let Some((_, fault)) = plan.next_if(|(at, _)| *at <= now_ms) {
                self.apply(fault);
            }
            self.restart_what_ended(now_ms);
            // whoever is hostile goes on through the calm as well
            if calm_since.is_none() && plan.peek().is_none() && now_ms >= FAULTS_MS {
                self.make_calm();
                workload.calm.store(true, Ordering::Relaxed);
                calm_since = Some(now_ms);
            }
            self.sim.step().map_err(|error| vec![format!("the simulation itself failed: {error}")])?;
            self.true_ms.fetch_add(TICK_MS.cast_signed(), Ordering::Relaxed);
            let Some(since) = calm_since else { continue };
            let done = workload.done.load(Ordering::Relaxed) && teller.done.load(Ordering::Relaxed);
            // promises of orders that nobody insists on end by the resolver
            if done && now_ms.is_multiple_of(500) && self.is_settled() {
                return Ok(());
            }
            if now_ms > since + CALM_MS_MAX {
                let workload = if workload.done.load(Ordering::Relaxed) { "all" } else { "not all" };
                let teller = if teller.done.load(Ordering::Relaxed) { "all" } else { "not all" };
                self.wrong.push(format!(
                    "I9: after {CALM_MS_MAX} ms of calm {workload} orders of the people, {teller} of the client have \
                     ended, or something is still promised or owed"
                ));
                return Ok(());
            }
        }
    }

    fn apply(&mut self, fault: &Fault) {
        self.recorder.note(&format!("fault {fault:?}"));
        let runs = |machine: &String| !self.down.contains(machine);
        let meets = match fault {
            Fault::Cut(a, b) | Fault::CutOneWay(a, b) | Fault::Hold(a, b) => runs(a) && runs(b),
            Fault::Clock(machine, off_ms) => *off_ms != 0 && runs(machine),
            // counted where they meet something
            Fault::Crash { .. } | Fault::SlowDisk(..) | Fault::FullDisk(..) | Fault::SyncFails(_) => false,
            Fault::Start(_) | Fault::Heal(..) | Fault::Release(..) => false,
        };
        self.effects += usize::from(meets);
        match fault {
            Fault::Crash { machine, keeps_unsynced, loses_projections } => {
                self.crash(machine, *keeps_unsynced, *loses_projections);
            }
            Fault::Start(machine) => self.start(machine),
            Fault::Cut(a, b) => self.sim.partition(a.as_str(), b.as_str()),
            Fault::CutOneWay(a, b) => self.sim.partition_oneway(a.as_str(), b.as_str()),
            Fault::Heal(a, b) => self.sim.repair(a.as_str(), b.as_str()),
            Fault::Hold(a, b) => self.sim.hold(a.as_str(), b.as_str()),
            Fault::Release(a, b) => self.sim.release(a.as_str(), b.as_str()),
            Fault::Clock(machine, off_ms) => self.machines[machine].clock.set_off(*off_ms),
            Fault::SlowDisk(bank, slow_ms) => self.disks[bank].trouble(|trouble| trouble.slow_ms = *slow_ms),
            Fault::FullDisk(bank, full) => self.disks[bank].trouble(|trouble| trouble.full = *full),
            Fault::SyncFails(bank) => self.disks[bank].trouble(|trouble| trouble.sync_fails = true),
        }
    }

    fn crash(&mut self, machine: &str, keeps_unsynced: bool, loses_projections: bool) {
        if !self.down.insert(machine.to_owned()) {
            return;
        }
        *self.crashes.entry(machine.to_owned()).or_default() += 1;
        self.sim.crash(machine);
        if let Some(disk) = self.disks.get(machine) {
            disk.lose_power(keeps_unsynced);
            if loses_projections {
                // gone with what the system had not written
                let _ = std::fs::remove_dir_all(self.dir.join(machine));
            }
        }
    }

    fn start(&mut self, machine: &str) {
        if self.down.remove(machine) {
            self.sim.bounce(machine);
        }
    }

    /// A process that ended by itself is started again, as a service manager would.
    fn restart_what_ended(&mut self, now_ms: u64) {
        let by_itself = |(name, machine): (&String, &Machine)| {
            let said = machine.ended.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some((name.clone(), said))
        };
        let by_themselves: Vec<(String, String)> = self.machines.iter().filter_map(by_itself).collect();
        // a failed sync ends a bank, as it must; whatever else does is wrong
        for (name, said) in &by_themselves {
            self.wrong.push(format!("{name} has ended by itself: {said}"));
        }
        let failed = self.disks.iter().filter(|(_, disk)| disk.has_failed()).map(|(name, _)| name.clone());
        let ended: Vec<String> = by_themselves.into_iter().map(|(name, _)| name).chain(failed).collect();
        for name in ended {
            self.recorder.note(&format!("{name} has ended"));
            let keeps_unsynced = self.random.random();
            self.crash(&name, keeps_unsynced, false);
            self.restarts.push((now_ms + 300, name));
        }
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.restarts).into_iter().partition(|(at, _)| *at <= now_ms);
        self.restarts = later;
        for (_, name) in due {
            self.start(&name);
        }
    }

    /// Everything works again.
    fn make_calm(&mut self) {
        self.recorder.note("calm");
        let names: Vec<String> = self.machines.keys().cloned().collect();
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                self.sim.release(one.as_str(), other.as_str());
                self.sim.repair(one.as_str(), other.as_str());
            }
        }
        for machine in self.machines.values() {
            machine.clock.set_off(0);
        }
        for disk in self.disks.values() {
            disk.trouble(|trouble| *trouble = Default::default());
        }
        for name in std::mem::take(&mut self.down) {
            self.sim.bounce(name.as_str());
        }
    }

    fn journals(&self, read: ReadJournal) -> Result<BTreeMap<BankName, Journal>, String> {
        let journals = self.disks.iter().map(|(name, disk)| {
            let bank = BankName::new(name).map_err(|error| error.to_string())?;
            let own = Own { bank: bank.clone(), network: NETWORK.to_owned() };
            let reader = disk.reader(&self.dir).map_err(|error| error.to_string())?;
            Ok((bank, read(reader.as_ref(), own, &self.dir.join(name))?))
        });
        journals.collect()
    }

    fn is_settled(&self) -> bool {
        let auditor = Auditor::default();
        self.journals(|reader, own, _| Journal::read(reader, own))
            .is_ok_and(|journals| Evidence::gather(journals, &auditor).i9_nothing_is_left().is_empty())
    }

    fn counts(&self) -> Counts {
        let (digest, lines, trace) = self.recorder.trace();
        let images: Vec<Image> = self.disks.values().map(Disk::image).collect();
        let crashes = self.crashes.values().sum();
        let entries: u64 = images.iter().flat_map(|image| &image.batches).map(|batch| batch.count).sum();
        Counts {
            judged: self.recorder.with(|auditor| auditor.judge().0),
            faults: self.effects + crashes + self.disks.values().map(Disk::troubles_met).sum::<usize>(),
            crashes,
            entries: usize::try_from(entries).unwrap_or(usize::MAX),
            syncs: self.disks.values().map(Disk::syncs).sum(),
            simulated_ms: self.now_ms(),
            digest,
            lines,
            trace,
        }
    }

    fn judge(&self, teller: &Teller, counts: &Counts) -> Vec<String> {
        let auditor = self.recorder.auditor();
        let (judged, violations) = auditor.judge();
        let mut wrong = [self.wrong.clone(), violations].concat();
        match self.journals(Journal::read_twice) {
            Err(error) => wrong.push(error),
            Ok(journals) => {
                for (bank, journal) in &journals {
                    let report = strife_bank::service::admin::report(&journal.state, |_| String::new());
                    wrong.extend(auditor.compare(bank, &report));
                }
                wrong.extend(Evidence::gather(journals, &auditor).check(true));
            }
        }
        wrong.extend(teller.lost().into_iter().map(|id| format!("I5: {id} was queued and is lost")));
        if judged.orders < ORDERS_MIN || counts.faults < FAULTS_MIN || judged.posted < POSTED_MIN {
            wrong.push(format!("too little happened to show anything: {judged:?}, {} faults", counts.faults));
        }
        let roles = self.machines.keys().filter(|name| *name != HOSTILE);
        let spared = roles.filter(|name| !self.crashes.contains_key(*name));
        wrong
            .extend(spared.map(|name| format!("too little happened to show anything: {name} never crashed")));
        wrong
    }

    fn fails(&self, seed: u64, wrong: Vec<String>) -> Box<Failure> {
        Box::new(Failure { seed, wrong, counts: self.counts() })
    }
}

impl Machine {
    /// What this start of the machine gives its process.
    fn seams(&self) -> strife_seams::Seams {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        seams(self.clock.clone(), self.seed.wrapping_add(start))
    }
}

async fn run_bank(
    bank: BankName,
    disk: Disk,
    machine: Machine,
    data_dir: PathBuf,
    recorder: Recorder,
) -> turmoil::Result {
    let mut settings = fixture().banks[&bank].clone();
    settings.data_dir = data_dir;
    let outside = Outside { seams: machine.seams(), stores: Arc::new(disk), password_cost: Cost::Simulated };
    let listeners = Listeners {
        gateways: SimPort::bind(BANK_PORTS.0).await?,
        operators: SimPort::bind(BANK_PORTS.1).await?,
    };
    let (_ask, stop) = Stop::new();
    let result = strife_bank::run(settings, listeners, outside, stop, || {}).await;
    recorder.note(&format!("{bank} ended: {result:?}"));
    *machine.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{result:?}"));
    std::future::pending::<()>().await;
    Ok(())
}

async fn run_gateway(
    name: &'static str,
    banks: Vec<String>,
    machine: Machine,
    recorder: Recorder,
) -> turmoil::Result {
    let mut settings = fixture().gateways[name].clone();
    settings.banks.retain(|bank, _| banks.contains(bank));
    let listener = SimPort::bind(GATEWAY_PORT).await?;
    let (_ask, stop) = Stop::new();
    let result = strife_gateway::run(settings, listener, machine.seams(), stop, || {}).await;
    recorder.note(&format!("{name} ended: {result:?}"));
    *machine.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{result:?}"));
    std::future::pending::<()>().await;
    Ok(())
}
