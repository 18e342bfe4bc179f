//! The demo's daemons as real processes. Each holds the end of a pipe and stops when the other end is gone, so
//! that none outlives the demo, however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use strife_daemon::lifecycle::LIFELINE_ENV;

use crate::layout::{BANKS, Layout, gateway_name};
use crate::{BANK_ARGUMENT, GATEWAY_ARGUMENT};

/// How long a daemon may take to stop before it is killed, in milliseconds.
const STOP_MS_MAX: u64 = 12_000;

/// One daemon.
#[derive(Debug)]
struct Daemon {
    argument: &'static str,
    config: PathBuf,
    errors: PathBuf,
    child: Option<Child>,
}

/// All daemons of a demo. Stops them when dropped.
#[derive(Debug)]
pub struct Processes {
    daemons: Mutex<BTreeMap<String, Daemon>>,
}

impl Processes {
    /// Starts every daemon of a layout.
    ///
    /// # Errors
    /// A process that cannot be started.
    pub fn start_all(layout: &Layout) -> anyhow::Result<Self> {
        let mut daemons = BTreeMap::new();
        let errors = |name: &str| layout.logs().join(format!("{name}.stderr"));
        fs::create_dir_all(layout.logs())?;
        for name in BANKS {
            let config = layout.bank_config(name);
            let daemon = Daemon { argument: BANK_ARGUMENT, config, errors: errors(name), child: None };
            daemons.insert(name.to_owned(), daemon);
        }
        for number in 1..=layout.ports.gateways.len() {
            let name = gateway_name(number);
            let config = layout.gateway_config(number);
            let daemon = Daemon { argument: GATEWAY_ARGUMENT, config, errors: errors(&name), child: None };
            daemons.insert(name, daemon);
        }
        let processes = Self { daemons: Mutex::new(daemons) };
        for name in processes.names() {
            processes.start(&name)?;
        }
        Ok(processes)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Daemon>> {
        self.daemons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of all daemons.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The process id of a daemon that runs.
    pub fn pid(&self, name: &str) -> Option<u32> {
        let mut daemons = self.lock();
        let child = daemons.get_mut(name)?.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Starts a daemon that does not run.
    ///
    /// # Errors
    /// An unknown name, one that runs, a process that cannot be started.
    pub fn start(&self, name: &str) -> anyhow::Result<()> {
        if self.pid(name).is_some() {
            bail!("{name} is running");
        }
        let mut daemons = self.lock();
        let daemon = daemons.get_mut(name).with_context(|| format!("there is no {name}"))?;
        let errors = File::options().create(true).append(true).open(&daemon.errors)?;
        let child = Command::new(own_program()?)
            .arg(daemon.argument)
            .arg("--config")
            .arg(&daemon.config)
            .env(LIFELINE_ENV, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()?;
        daemon.child = Some(child);
        Ok(())
    }

    /// Kills a daemon (SIGKILL).
    ///
    /// # Errors
    /// An unknown name, or one that does not run.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        let mut daemons = self.lock();
        let daemon = daemons.get_mut(name).with_context(|| format!("there is no {name}"))?;
        let mut child = daemon.child.take().with_context(|| format!("{name} does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// What a daemon that ended by itself said last.
    pub fn last_words(&self, name: &str) -> String {
        let path: Option<PathBuf> = self.lock().get(name).map(|daemon| daemon.errors.clone());
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// Asks every daemon to stop, waits, and kills what does not.
    pub fn stop_all(&self) {
        let mut daemons = self.lock();
        // gateways first, so that they can still finish what is on its way
        let mut children: Vec<Child> = Vec::new();
        for daemon in daemons.values_mut().rev() {
            if let Some(child) = daemon.child.take() {
                terminate(&child);
                children.push(child);
            }
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
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// This very program, also if its file was replaced since.
fn own_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // it may have ended by itself
        let _ = kill_process(pid, Signal::TERM);
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
