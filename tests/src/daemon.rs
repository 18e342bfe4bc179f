//! A daemon that a test runs by itself, in place of the demo's own: with other settings, under a tracer, on a
//! small disk; killed, stopped and continued at will.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use strife_daemon::lifecycle::LIFELINE_ENV;
use strife_demo::{BANK_ARGUMENT, GATEWAY_ARGUMENT};
use strife_proto::v1;

use crate::network::{TestNetwork, signal};

/// How long a daemon may take to answer after its start, to stop, or to refuse its start.
const PATIENCE: Duration = Duration::from_secs(20);

/// One daemon of a test. Ended when dropped: it holds a pipe of this process.
#[derive(Debug)]
pub struct Daemon {
    /// As the demo names it.
    pub name: String,
    program: PathBuf,
    wrapper: Vec<String>,
    config: PathBuf,
    environment: BTreeMap<String, String>,
    errors: PathBuf,
    /// What it said before its last start.
    said: String,
    child: Option<Child>,
}

impl Daemon {
    /// Takes the place of the demo's own daemon of that name, which is killed (-9). Not started yet.
    pub fn instead_of(network: &TestNetwork, name: &str) -> Self {
        network.kill(name);
        let folder = network.dir().canonicalize().unwrap();
        let config = match name.strip_prefix("gateway") {
            Some(_) => folder.join("gateways").join(name).join("gateway.toml"),
            None => folder.join("banks").join(name).join("bank.toml"),
        };
        assert!(config.is_file(), "{}", config.display());
        Self {
            name: name.to_owned(),
            program: network.program().to_owned(),
            wrapper: Vec::new(),
            config,
            environment: BTreeMap::new(),
            errors: folder.join(format!("{name}.words")),
            said: String::new(),
            child: None,
        }
    }

    /// Sets a variable of its environment.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.environment.insert(key.to_owned(), value.to_string());
        self
    }

    /// Has it run by another program, which is given the whole command.
    pub fn under(mut self, wrapper: &[String]) -> Self {
        self.wrapper = wrapper.to_vec();
        self
    }

    /// Changes its settings' text, in a file beside the demo's own.
    pub fn with_settings(mut self, change: impl FnOnce(String) -> String) -> Self {
        let text = change(fs::read_to_string(&self.config).unwrap());
        self.config.set_file_name("own.toml");
        fs::write(&self.config, text).unwrap();
        self
    }

    /// Has a gateway reach a bank at another address than the demo's own wire.
    pub fn with_bank_at(self, bank: &str, address: &str) -> Self {
        self.with_settings(|text| {
            let own = format!("{bank} = ");
            let line = |line: &str| match line.starts_with(&own) {
                true => format!("{own}{address:?}\n"),
                false => format!("{line}\n"),
            };
            assert!(text.lines().any(|line| line.starts_with(&own)), "{text}");
            text.lines().map(line).collect()
        })
    }

    /// Starts it and does not wait.
    pub fn start(&mut self) {
        self.said = self.all_words();
        let argument = if self.name.starts_with("gateway") { GATEWAY_ARGUMENT } else { BANK_ARGUMENT };
        let mut line = self.wrapper.clone();
        line.push(self.program.display().to_string());
        let (first, rest) = line.split_first().unwrap();
        let child = Command::new(first)
            .args(rest)
            .arg(argument)
            .arg("--config")
            .arg(&self.config)
            .envs(&self.environment)
            .env(LIFELINE_ENV, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&self.errors).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Starts a bank and waits until it answers its operator.
    pub async fn start_bank(&mut self, network: &TestNetwork) {
        self.start();
        let deadline = Instant::now() + PATIENCE;
        while network.admin(&self.name).report(v1::ReportRequest {}).await.is_err() {
            assert!(self.is_running(), "{} ended: {}", self.name, self.words());
            assert!(Instant::now() < deadline, "{} does not answer: {}", self.name, self.words());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts a bank that may refuse: its last words if it does, nothing if it answers.
    pub async fn start_or_refuse(&mut self, network: &TestNetwork) -> Option<String> {
        self.start();
        let deadline = Instant::now() + PATIENCE;
        while network.admin(&self.name).report(v1::ReportRequest {}).await.is_err() {
            if !self.is_running() {
                return Some(self.words());
            }
            assert!(Instant::now() < deadline, "{} neither answers nor ends", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// Whether it runs: it was started, and has neither been ended nor ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Waits for an end that it comes to by itself.
    pub async fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let child = self.child.as_mut().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks for a clean stop and waits for it.
    pub async fn stop(&mut self) {
        // the other end of its lifeline; a wrapper hands it through
        drop(self.child.as_mut().and_then(|child| child.stdin.take()));
        let status = self.ends().await;
        assert!(status.success(), "{} stopped with {status}: {}", self.name, self.words());
    }

    /// Kills it (-9).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stands it still, or lets it go on.
    pub fn stand_still(&self, still: bool) {
        if let Some(child) = &self.child {
            signal(child.id(), if still { Signal::STOP } else { Signal::CONT });
        }
    }

    /// What it said on its standard error since its last start.
    pub fn words(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default().trim().to_owned()
    }

    /// What it has said in all its starts.
    pub fn all_words(&self) -> String {
        format!("{}{}\n", self.said, self.words())
    }

    /// The lines of one of its log streams.
    pub fn log(&self, network: &TestNetwork, stream: &str) -> String {
        log_of(&network.dir().join("logs").join(&self.name), stream)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// All lines of a log stream in a daemon's log folder. The link to the latest file is not followed: it may lead
/// elsewhere in another mount namespace.
pub fn log_of(folder: &Path, stream: &str) -> String {
    let Ok(entries) = fs::read_dir(folder.join(stream)) else { return String::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()).collect()
}
