//! The demo's daemons as real processes, and what can be done to them. Each holds the end of a pipe and stops when
//! the other end is gone, so that none outlives the demo, however that ends; one that stands still then is made to
//! go on, and stops as well.

mod starter;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use strife_daemon::lifecycle::LIFELINE_ENV;
use strife_tui::{Control, ProcessState};

use crate::layout::{BANKS, Layout, gateway_name};
use crate::wires::Wires;
use crate::{BANK_ARGUMENT, GATEWAY_ARGUMENT};
use starter::Starter;
pub use starter::go_on_when_orphaned;

/// How long a daemon may take to stop before it is killed, in milliseconds.
const STOP_MS_MAX: u64 = 12_000;

/// One daemon.
#[derive(Debug)]
struct Daemon {
    argument: &'static str,
    config: PathBuf,
    errors: PathBuf,
    /// `None` when it was killed; one that has ended by itself is still here.
    child: Option<Child>,
    frozen: bool,
}

/// All daemons of a demo. Stops them when dropped.
#[derive(Debug)]
pub struct Processes {
    daemons: Mutex<BTreeMap<String, Daemon>>,
    starter: Starter,
    // after the daemons, which stop in order while they reach each other
    wires: Wires,
}

impl Processes {
    /// Lays the wires of a layout and starts every daemon.
    ///
    /// # Errors
    /// A port that was taken, a process that cannot be started.
    pub fn start_all(layout: &Layout) -> anyhow::Result<Self> {
        let mut daemons = BTreeMap::new();
        fs::create_dir_all(layout.logs())?;
        let mut add = |name: String, argument, config| {
            let errors = layout.logs().join(format!("{name}.stderr"));
            daemons.insert(name, Daemon { argument, config, errors, child: None, frozen: false });
        };
        for name in BANKS {
            add(name.to_owned(), BANK_ARGUMENT, layout.bank_config(name));
        }
        for number in 1..=layout.ports.gateways.len() {
            add(gateway_name(number), GATEWAY_ARGUMENT, layout.gateway_config(number));
        }
        let (wires, starter) = (Wires::lay(layout)?, Starter::new()?);
        let processes = Self { daemons: Mutex::new(daemons), starter, wires };
        for name in processes.names() {
            processes.start(&name)?;
        }
        Ok(processes)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Daemon>> {
        self.daemons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a daemon that is known.
    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Daemon) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut daemons = self.lock();
        let known = daemons.keys().cloned().collect::<Vec<_>>().join(", ");
        work(daemons.get_mut(name).with_context(|| format!("there is no {name}; there are {known}"))?)
    }

    /// Names of all daemons.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The process id of a daemon that runs.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.lock().get_mut(name)?.pid()
    }

    /// What a daemon does.
    pub fn state(&self, name: &str) -> Option<ProcessState> {
        let cut_off = self.wires.is_cut_off(name);
        let mut daemons = self.lock();
        let daemon = daemons.get_mut(name)?;
        if daemon.child.is_none() {
            return Some(ProcessState::Killed);
        }
        Some(match (daemon.pid().is_some(), daemon.frozen, cut_off) {
            (false, _, _) => ProcessState::Ended(daemon.last_words()),
            (true, false, false) => ProcessState::Runs,
            (true, true, false) => ProcessState::Frozen,
            (true, false, true) => ProcessState::CutOff,
            (true, true, true) => ProcessState::FrozenAndCutOff,
        })
    }

    /// Names and states of all daemons.
    pub fn states(&self) -> Vec<(String, ProcessState)> {
        let state = |name: String| self.state(&name).map(|state| (name, state));
        self.names().into_iter().filter_map(state).collect()
    }

    /// Does what a person asks for.
    ///
    /// # Errors
    /// An unknown name, or a state in which it changes nothing.
    pub fn control(&self, name: &str, what: Control) -> anyhow::Result<()> {
        match what {
            Control::Kill => self.kill(name),
            Control::Start => self.start(name),
            Control::Restart => self.restart(name),
            Control::Freeze => self.freeze(name),
            Control::Thaw => self.thaw(name),
            Control::CutOff => self.cut_off(name),
            Control::Reconnect => self.reconnect(name),
        }
    }

    /// Starts a daemon that does not run.
    ///
    /// # Errors
    /// An unknown name, one that runs, a process that cannot be started.
    pub fn start(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |daemon| match daemon.pid() {
            Some(_) => bail!("{name} is running"),
            None => daemon.start(&self.starter),
        })
    }

    /// Kills a daemon (SIGKILL).
    ///
    /// # Errors
    /// An unknown name, or one that does not run.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |daemon| {
            let mut child = daemon.child.take().with_context(|| format!("{name} does not run"))?;
            child.kill()?;
            child.wait()?;
            Ok(())
        })
    }

    /// Stops a daemon in order and starts it again; one that does not run is started.
    ///
    /// # Errors
    /// An unknown name, a process that cannot be started.
    pub fn restart(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |daemon| {
            if let Some(child) = daemon.child.take() {
                stop(vec![child]);
            }
            daemon.start(&self.starter)
        })
    }

    /// Makes a daemon stand still (SIGSTOP); it does when this returns.
    ///
    /// # Errors
    /// An unknown name, one that does not run or stands still already.
    pub fn freeze(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |daemon| {
            let pid = daemon.pid().and_then(pid_of).with_context(|| format!("{name} does not run"))?;
            if daemon.frozen {
                bail!("{name} is frozen");
            }
            kill_process(pid, Signal::STOP)?;
            // only looked at, so that an end is still there to be noticed
            let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), options)?;
            daemon.frozen = true;
            Ok(())
        })
    }

    /// Lets a daemon go on (SIGCONT).
    ///
    /// # Errors
    /// An unknown name, or one that does not stand still.
    pub fn thaw(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |daemon| {
            let pid = daemon.pid().and_then(pid_of).with_context(|| format!("{name} does not run"))?;
            if !daemon.frozen {
                bail!("{name} is not frozen");
            }
            kill_process(pid, Signal::CONT)?;
            daemon.frozen = false;
            Ok(())
        })
    }

    /// Ends a daemon's connections and lets it have no new ones, whatever becomes of its process.
    ///
    /// # Errors
    /// An unknown name, or one that is cut off already.
    pub fn cut_off(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |_| {
            if self.wires.is_cut_off(name) {
                bail!("{name} is cut off");
            }
            self.wires.set(name, true);
            Ok(())
        })
    }

    /// Lets a daemon be reached again.
    ///
    /// # Errors
    /// An unknown name, or one that is not cut off.
    pub fn reconnect(&self, name: &str) -> anyhow::Result<()> {
        self.with(name, |_| {
            if !self.wires.is_cut_off(name) {
                bail!("{name} is not cut off");
            }
            self.wires.set(name, false);
            Ok(())
        })
    }

    /// What a daemon that ended by itself said last.
    pub fn last_words(&self, name: &str) -> String {
        self.lock().get(name).map(Daemon::last_words).unwrap_or_default()
    }

    /// Asks every daemon to stop, waits, and kills what does not.
    pub fn stop_all(&self) {
        // gateways first, so that they can still finish what is on its way
        stop(self.lock().values_mut().rev().filter_map(|daemon| daemon.child.take()).collect());
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl Daemon {
    /// The process id, while it runs.
    fn pid(&mut self) -> Option<u32> {
        let child = self.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    fn start(&mut self, starter: &Starter) -> anyhow::Result<()> {
        let errors = File::options().create(true).append(true).open(&self.errors)?;
        let mut command = Command::new(own_program()?);
        command.arg(self.argument).arg("--config").arg(&self.config).env(LIFELINE_ENV, "1");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        self.child = Some(starter.start(command)?);
        self.frozen = false;
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

/// This very program, also if its file was replaced since.
fn own_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

fn pid_of(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// Asks processes to stop, waits, and kills what does not.
fn stop(mut children: Vec<Child>) {
    for pid in children.iter().filter_map(|child| pid_of(child.id())) {
        // it may have ended by itself; one that stands still takes the signal up when it goes on
        let _ = kill_process(pid, Signal::TERM);
        let _ = kill_process(pid, Signal::CONT);
    }
    let deadline = Instant::now() + Duration::from_millis(STOP_MS_MAX);
    for child in &mut children {
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // it is our own child: gone already, or ended now
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Whether a folder is writable; said early and in words.
///
/// # Errors
/// It is not.
pub fn check_writable(dir: &Path) -> anyhow::Result<()> {
    let probe = dir.join(".probe");
    File::create(&probe).with_context(|| format!("{} cannot be written", dir.display()))?;
    fs::remove_file(&probe)?;
    Ok(())
}
