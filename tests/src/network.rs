//! A demo network of real processes in a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use strife_client::api::Trust;
use strife_client::{Api, ClientSettings, Settings};
use strife_demo::network::Description;
use strife_demo::{BANK_ARGUMENT, GATEWAY_ARGUMENT};
use strife_proto::commit::BankName;
use strife_proto::v1::bank_admin_client::BankAdminClient;
use strife_seams::Seams;
use strife_tui::{Control, ProcessState};
use tonic::transport::Channel;

/// A running demo, ended with its test.
pub struct TestNetwork {
    /// What it printed.
    pub description: Description,
    program: PathBuf,
    child: Child,
    dir: tempfile::TempDir,
}

/// What a person is given before the first start.
pub struct HandedOut {
    /// A gateway's `host:port`.
    pub address: String,
    /// The folder with the five files.
    pub folder: PathBuf,
    /// The SHA-256 fingerprint of the network's certificate, as it is told on another way than the files.
    pub fingerprint: String,
}

impl TestNetwork {
    /// Starts `program` (the test's own binary) headless, with so many gateways, and waits until it is ready.
    pub fn start(program: &str, gateways: u8) -> Self {
        Self::start_with(program, gateways, &[])
    }

    /// The same, with settings of the daemons overridden by their environment.
    pub fn start_with(program: &str, gateways: u8, settings: &[(&str, &str)]) -> Self {
        strife_client::install_provider();
        Self::start_in(program, gateways, settings, tempfile::tempdir().unwrap())
    }

    fn start_in(program: &str, gateways: u8, settings: &[(&str, &str)], dir: tempfile::TempDir) -> Self {
        let mut child = Command::new(program)
            .args(["--headless", "--gateways", &gateways.to_string(), "--data-dir"])
            .arg(dir.path())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let description: Description = serde_json::from_str(&line).expect("the demo prints one JSON line");
        assert!(description.ready);
        Self { description, program: program.into(), child, dir }
    }

    /// Stops everything, lets `between` work on the folder, and starts again.
    pub fn restart(mut self, gateways: u8, between: impl FnOnce(&Path)) -> Self {
        self.stop();
        let program = self.program.display().to_string();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        between(dir.path());
        Self::start_in(&program, gateways, &[], dir)
    }

    /// Stops everything while this runtime goes on, so that connections of the test are told goodbye and no
    /// daemon has to wait for them.
    pub async fn end(self) {
        tokio::task::spawn_blocking(|| drop(self)).await.unwrap();
    }

    fn stop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(30);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The demo's own process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The program that its daemons are.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The demo's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Kills (-9) a process by its name.
    pub fn kill(&self, name: &str) {
        self.control(Control::Kill, name);
    }

    /// Starts a killed process.
    pub fn start_process(&self, name: &str) {
        self.control(Control::Start, name);
    }

    /// Starts a process that has ended by itself, as soon as it is gone.
    pub fn start_when_gone(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.try_control(Control::Start, name) {
            assert!(Instant::now() < deadline, "{name} does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Does to a process what a person does from another terminal.
    pub fn control(&self, what: Control, name: &str) {
        assert!(self.try_control(what, name), "{} {name}", what.word());
    }

    /// The same; tells whether the demo did it.
    pub fn try_control(&self, what: Control, name: &str) -> bool {
        let mut command = Command::new(&self.program);
        command.args(["control", what.word(), name, "--data-dir"]).arg(self.dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// What a process does, as the demo says it.
    pub fn state(&self, name: &str) -> ProcessState {
        let processes = strife_demo::control::processes(self.dir.path()).unwrap();
        processes.into_iter().find(|process| process.name == name).unwrap().state
    }

    /// The client's settings for this network.
    pub fn client_settings(&self) -> ClientSettings {
        ClientSettings::load(Path::new(&self.description.client_config)).unwrap()
    }

    /// The settings of a client with an outbox of its own.
    pub fn settings_in(&self, data_dir: &Path) -> ClientSettings {
        ClientSettings { data_dir: data_dir.to_owned(), ..self.client_settings() }
    }

    /// The settings file of a client of this network in a folder of its own, with an outbox and with copies of the
    /// files, which may be damaged.
    pub fn own_client(&self, dir: &Path) -> PathBuf {
        let theirs = self.client_settings();
        for (from, name) in [
            (&theirs.trust.authority, "ca.pem"),
            (&theirs.trust.trust, "trust.json"),
            (&theirs.trust.roster, "roster.bin"),
            (&theirs.tls.certificate, "tls.pem"),
            (&theirs.tls.private_key, "tls.key"),
        ] {
            std::fs::copy(from, dir.join(name)).unwrap();
        }
        let config = dir.join("client.toml");
        let text = format!(
            "gateways = {:?}\ndata_dir = \"data\"\nkeyring = false\n\
             [tls]\ncertificate = \"tls.pem\"\nprivate_key = \"tls.key\"\n\
             [trust]\nauthority = \"ca.pem\"\ntrust = \"trust.json\"\nroster = \"roster.bin\"\n",
            theirs.gateways
        );
        std::fs::write(&config, text).unwrap();
        config
    }

    /// What an administrator hands out to a person who is to bank here.
    pub fn handed_out(&self) -> HandedOut {
        let settings = self.client_settings();
        let fingerprint = strife_certs::inspect::fingerprint(&settings.trust.authority).unwrap();
        let folder = settings.tls.certificate.parent().unwrap().to_owned();
        HandedOut { address: self.description.gateways[0].clone(), folder, fingerprint }
    }

    /// A gateway, by its number from 0, as a client with the demo's certificate sees it.
    pub fn api(&self, gateway: usize) -> Api {
        let trust = Trust::load(&self.client_settings()).unwrap();
        Api::new(trust, &self.description.gateways[gateway], 12_000, Seams::of_this_machine())
    }

    /// An operator's connection to a bank.
    pub fn admin(&self, bank: &str) -> BankAdminClient<Channel> {
        let described = &self.description.banks[bank];
        strife_demo::admin::connect(
            &described.admin_address,
            &BankName::new(bank).unwrap(),
            Path::new(&self.description.ca),
            Path::new(&described.operator_cert),
            Path::new(&described.operator_key),
        )
        .unwrap()
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first arguments with which a program of this package is the demo.
const DEMO: [&str; 5] = ["--headless", "control", "client", BANK_ARGUMENT, GATEWAY_ARGUMENT];

/// Whether this program was started as the demo, by itself.
pub fn is_demo_call() -> bool {
    std::env::args().nth(1).is_some_and(|first| DEMO.contains(&first.as_str()))
}

/// Sends a signal to a process that this test started.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
