//! A fresh network of real processes: banks and a gateway with the shipped defaults, and the bare echo.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use strife_certs::authority::{LEAF_DAYS, Network};
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_client::api::Trust;
use strife_client::{Api, ClientSettings, Seams, Settings};
use strife_proto::commit::BankName;
use strife_proto::v1;
use strife_proto::v1::bank_admin_client::BankAdminClient;
use tonic::transport::Channel;

use crate::meter::{DRIVER, Meter};

/// The network's name.
pub(crate) const NETWORK: &str = "bench";
/// The gateway and the echo.
pub(crate) const GATEWAY: &str = "gateway1";
pub(crate) const ECHO: &str = "echo";
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);
/// How long the customers' money is left alone before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// Longest report of a bank: one with a million accounts, in bytes.
const REPORT_BYTES_MAX: usize = 512 << 20;
/// How much each bank may owe the other, in cents: no limit that the bench could reach.
const CAP: i64 = 1_000_000_000_000;

/// A running network, ended when dropped.
pub(crate) struct World {
    daemons: Vec<(String, Child)>,
    /// The banks' names.
    pub(crate) banks: Vec<BankName>,
    /// The folder of everything.
    pub(crate) dir: PathBuf,
    /// The network's certificates.
    pub(crate) network: Network,
    gateway: u16,
    admins: Vec<u16>,
    echo: u16,
    _folder: tempfile::TempDir,
}

/// A free port of this machine.
fn port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl World {
    /// Makes and starts a network of so many banks in a new folder, and waits until all are ready. `prepare` may fill
    /// data folders before anything runs.
    ///
    /// # Errors
    /// The folder is on a tmpfs, or something does not start.
    pub(crate) async fn start(
        parent: &Path,
        banks: usize,
        prepare: impl AsyncFnOnce(&World) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix("strife-bench-").tempdir_in(parent)?;
        let dir = folder.path().canonicalize()?;
        let filesystem = crate::kernel::filesystem(&dir)?;
        if matches!(filesystem.as_str(), "tmpfs" | "ramfs") {
            bail!("{} is on a {filesystem}, where a sync costs nothing; name another --dir", dir.display());
        }
        let network = Network::create(&dir.join("network"), NETWORK)?;
        let banks: Vec<_> =
            (1..=banks).map(|number| BankName::new(&format!("Bank{number}"))).collect::<Result<_, _>>()?;
        for bank in &banks {
            network.issue(&Identity::Bank(bank.clone()), LEAF_DAYS)?;
            let operator = Identity::Operator { bank: bank.clone(), name: NETWORK.into() };
            network.issue(&operator, LEAF_DAYS)?;
        }
        for gateway in [GATEWAY, ECHO] {
            network.issue(&Identity::Gateway(gateway.into()), LEAF_DAYS)?;
        }
        let mut world = Self {
            daemons: Vec::new(),
            dir,
            network,
            gateway: port()?,
            admins: banks.iter().map(|_| port()).collect::<anyhow::Result<_>>()?,
            banks,
            echo: port()?,
            _folder: folder,
        };
        prepare(&world).await?;
        world.start_daemons()?;
        world.wait_ready().await?;
        Ok(world)
    }

    fn tls(&self, identity: &Identity) -> String {
        let files = self.network.files_of(identity);
        format!(
            "[tls]\ncertificate = {:?}\nprivate_key = {:?}\n[trust]\nauthority = {:?}\ntrust = {:?}\nroster = {:?}\n",
            files.certificate,
            files.private_key,
            self.network.ca_file(),
            self.network.trust_file(),
            self.network.roster_file(),
        )
    }

    fn start_daemons(&mut self) -> anyhow::Result<()> {
        let mut banks = String::from("[banks]\n");
        for (bank, admin) in self.banks.clone().into_iter().zip(self.admins.clone()) {
            let (name, listen) = (bank.to_string(), port()?);
            banks += &format!("{name} = \"127.0.0.1:{listen}\"\n");
            let identity = Identity::Bank(bank);
            let text = format!(
                "name = {name:?}\nlisten = \"127.0.0.1:{listen}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n\
                 data_dir = \"data\"\nkeys_dir = {:?}\n{}[logs]\ndir = \"logs\"\n",
                self.network.files_of(&identity).dir,
                self.tls(&identity),
            );
            self.spawn(&name, "run-bank", &text)?;
        }
        let text = format!(
            "listen = \"127.0.0.1:{}\"\n{}{banks}[logs]\ndir = \"logs\"\n",
            self.gateway,
            self.tls(&Identity::Gateway(GATEWAY.into())),
        );
        self.spawn(GATEWAY, "run-gateway", &text)?;
        let mut echo = itself()?;
        echo.args(["run-echo", "--port", &self.echo.to_string(), "--network"]).arg(self.dir.join("network"));
        self.daemons.push((ECHO.to_owned(), echo.spawn()?));
        Ok(())
    }

    fn spawn(&mut self, name: &str, part: &str, settings: &str) -> anyhow::Result<()> {
        let config = self.settings_file(name);
        strife_certs::pem::make_private_dir(&self.folder(name))?;
        strife_certs::pem::write_secret(&config, settings.as_bytes())?;
        let child = itself()?.args([part, "--config"]).arg(&config).spawn()?;
        self.daemons.push((name.to_owned(), child));
        Ok(())
    }

    /// Where a daemon's files are.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The settings that a daemon was started with.
    pub(crate) fn settings_file(&self, name: &str) -> PathBuf {
        self.folder(name).join("settings.toml")
    }

    /// Where a bank's journal is.
    pub(crate) fn data_dir(&self, bank: &BankName) -> PathBuf {
        self.folder(bank.as_str()).join("data")
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let client = self.client("ready")?;
        let api = Api::new(self.trust(&client)?, &self.gateway_address(), 10_000, Seams::of_this_machine());
        let deadline = Instant::now() + START_MAX;
        loop {
            for (name, child) in &mut self.daemons {
                if let Some(status) = child.try_wait()? {
                    bail!("{name} ended: {status}");
                }
            }
            let reached = api.banks().await.is_ok_and(|banks| {
                banks.len() == self.banks.len() && banks.iter().all(|bank| bank.reachable)
            });
            if reached {
                break;
            }
            if Instant::now() > deadline {
                bail!("the network was not ready in time");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for bank in &self.banks {
            let mut admin = self.admin(bank)?;
            for counterpart in self.banks.iter().filter(|counterpart| *counterpart != bank) {
                let (counterpart, currency) = (counterpart.to_string(), "EUR".to_owned());
                admin
                    .set_settlement_cap(v1::SetSettlementCapRequest { counterpart, currency, cap: CAP })
                    .await?;
            }
        }
        Ok(())
    }

    /// Issues a client's certificate, and says which settings use it.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(crate) fn client(&self, name: &str) -> anyhow::Result<ClientSettings> {
        let identity = Identity::Client(name.into());
        self.network.issue(&identity, LEAF_DAYS)?;
        let text = format!(
            "gateways = [{:?}]\ndata_dir = \"data\"\nkeyring = false\n{}",
            self.gateway_address(),
            self.tls(&identity),
        );
        let folder = self.dir.join("clients").join(name);
        strife_certs::pem::make_private_dir(&folder)?;
        let config = folder.join("client.toml");
        strife_certs::pem::write_secret(&config, text.as_bytes())?;
        Ok(ClientSettings::load(&config)?)
    }

    /// What a client believes.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub(crate) fn trust(&self, settings: &ClientSettings) -> anyhow::Result<Trust> {
        Ok(Trust::load(settings)?)
    }

    /// A connection of its own to the gateway, or to the echo, over a client's certificate.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub(crate) fn connect(&self, settings: &ClientSettings, to_echo: bool) -> anyhow::Result<Channel> {
        let material = Material {
            authority: &settings.trust.authority,
            certificate: &settings.tls.certificate,
            private_key: &settings.tls.private_key,
        };
        let kind = Identity::Gateway("any".into());
        let port = if to_echo { self.echo } else { self.gateway };
        let dial = std::sync::Arc::new(strife_seams::Tcp);
        let tls = material.client()?;
        Ok(strife_certs::connect::channel(dial, &format!("127.0.0.1:{port}"), tls, &kind, 3_000, |_| true))
    }

    /// Where the gateway is.
    pub(crate) fn gateway_address(&self) -> String {
        format!("127.0.0.1:{}", self.gateway)
    }

    /// An operator's connection to a bank.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub(crate) fn admin(&self, bank: &BankName) -> anyhow::Result<BankAdminClient<Channel>> {
        let operator = Identity::Operator { bank: bank.clone(), name: NETWORK.into() };
        let files = self.network.files_of(&operator);
        let port =
            self.banks.iter().zip(&self.admins).find_map(|(name, port)| (name == bank).then_some(port));
        let address = format!("127.0.0.1:{}", port.context("a bank of another network")?);
        let ca = self.network.ca_file();
        let admin = strife_demo::admin::connect(&address, bank, &ca, &files.certificate, &files.private_key)?;
        Ok(admin.max_decoding_message_size(REPORT_BYTES_MAX))
    }

    /// What is measured: banks, gateway, and this program, which drives them.
    pub(crate) fn meter(&self) -> Meter {
        let daemons = || self.daemons.iter().filter(|(name, _)| name != ECHO);
        let mut processes: Vec<_> = daemons().map(|(name, child)| (name.clone(), child.id())).collect();
        processes.push((DRIVER.to_owned(), std::process::id()));
        Meter {
            processes,
            families: Vec::new(),
            journals: self.banks.iter().map(|bank| (bank.to_string(), self.data_dir(bank))).collect(),
            logs: daemons().map(|(name, _)| (name.clone(), self.log(name, "rpc"))).collect(),
            dir: self.dir.clone(),
        }
    }

    /// Where a bank's keys are.
    pub(crate) fn keys_dir(&self, bank: &BankName) -> PathBuf {
        self.network.files_of(&Identity::Bank(bank.clone())).dir
    }

    /// A daemon's process.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.daemons.iter().find(|(daemon, _)| daemon == name).map(|(_, child)| child.id())
    }

    /// Where a daemon logs a stream.
    pub(crate) fn log(&self, name: &str, stream: &str) -> PathBuf {
        self.folder(name).join("logs").join(stream).join("latest")
    }

    /// All customers' money at all banks, in cents, once nothing is on its way any more.
    ///
    /// # Errors
    /// A bank does not answer, or something never ends.
    pub(crate) async fn money(&self) -> anyhow::Result<i64> {
        let deadline = Instant::now() + START_MAX;
        let mut admins: Vec<_> =
            self.banks.iter().map(|bank| self.admin(bank)).collect::<anyhow::Result<_>>()?;
        loop {
            let (mut money, mut open) = (0_i64, 0);
            for admin in &mut admins {
                let report = admin.report(v1::ReportRequest {}).await?.into_inner();
                open += report.promises + report.unacknowledged;
                for balance in report.balances.iter().filter(|one| one.account.starts_with("customer:")) {
                    money = money.checked_add(balance.posted).context("more money than fits")?;
                }
            }
            if open == 0 {
                return Ok(money);
            }
            if Instant::now() > deadline {
                bail!("{open} promises and outcomes are still on their way");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// This very program, without what the environment says about settings: daemons run as they are shipped.
///
/// # Errors
/// The system does not say where it is.
pub(crate) fn itself() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STRIFE_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    Ok(command)
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            // its folder goes with it: there is nothing to end in order
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
