//! A fresh network of real processes: two banks and a gateway with the shipped defaults, and the bare echo.

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

/// The banks.
pub(crate) const BANKS: [&str; 2] = ["Bank1", "Bank2"];
/// The gateway and the echo.
const GATEWAY: &str = "gateway1";
const ECHO: &str = "echo";
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);
/// How much each bank may owe the other, in cents: no limit that the bench could reach.
const CAP: i64 = 1_000_000_000_000;

/// A running network, ended when dropped.
pub(crate) struct World {
    daemons: Vec<(&'static str, Child)>,
    /// The folder of everything.
    pub(crate) dir: PathBuf,
    /// The network's certificates.
    pub(crate) network: Network,
    gateway: u16,
    admins: [u16; 2],
    echo: u16,
    _folder: tempfile::TempDir,
}

/// A free port of this machine.
fn port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl World {
    /// Makes and starts a network in a new folder, and waits until all are ready.
    ///
    /// # Errors
    /// The folder is on a tmpfs, or something does not start.
    pub(crate) async fn start(parent: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix("strife-bench-").tempdir_in(parent)?;
        let dir = folder.path().canonicalize()?;
        let filesystem = crate::kernel::filesystem(&dir)?;
        if matches!(filesystem.as_str(), "tmpfs" | "ramfs") {
            bail!("{} is on a {filesystem}, where a sync costs nothing; name another --dir", dir.display());
        }
        let network = Network::create(&dir.join("network"), "bench")?;
        for bank in BANKS {
            let bank = BankName::new(bank)?;
            network.issue(&Identity::Bank(bank.clone()), LEAF_DAYS)?;
            network.issue(&Identity::Operator { bank, name: "bench".into() }, LEAF_DAYS)?;
        }
        for gateway in [GATEWAY, ECHO] {
            network.issue(&Identity::Gateway(gateway.into()), LEAF_DAYS)?;
        }
        let mut world = Self {
            daemons: Vec::new(),
            dir,
            network,
            gateway: port()?,
            admins: [port()?, port()?],
            echo: port()?,
            _folder: folder,
        };
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
        for (name, admin) in BANKS.into_iter().zip(self.admins) {
            let listen = port()?;
            banks += &format!("{name} = \"127.0.0.1:{listen}\"\n");
            let identity = Identity::Bank(BankName::new(name)?);
            let text = format!(
                "name = {name:?}\nlisten = \"127.0.0.1:{listen}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n\
                 data_dir = \"data\"\nkeys_dir = {:?}\n{}[logs]\ndir = \"logs\"\n",
                self.network.files_of(&identity).dir,
                self.tls(&identity),
            );
            self.spawn(name, "run-bank", &text)?;
        }
        let text = format!(
            "listen = \"127.0.0.1:{}\"\n{}{banks}[logs]\ndir = \"logs\"\n",
            self.gateway,
            self.tls(&Identity::Gateway(GATEWAY.into())),
        );
        self.spawn(GATEWAY, "run-gateway", &text)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["run-echo", "--port", &self.echo.to_string(), "--network"])
            .arg(self.dir.join("network"))
            .stdin(Stdio::null())
            .spawn()?;
        self.daemons.push((ECHO, child));
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, part: &str, settings: &str) -> anyhow::Result<()> {
        let folder = self.dir.join(name);
        strife_certs::pem::make_private_dir(&folder)?;
        let config = folder.join("settings.toml");
        strife_certs::pem::write_secret(&config, settings.as_bytes())?;
        let child = Command::new(std::env::current_exe()?)
            .args([part, "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()?;
        self.daemons.push((name, child));
        Ok(())
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
            let reached = api
                .banks()
                .await
                .is_ok_and(|banks| banks.len() == BANKS.len() && banks.iter().all(|bank| bank.reachable));
            if reached {
                break;
            }
            if Instant::now() > deadline {
                bail!("the network was not ready in time");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for index in 0..BANKS.len() {
            let counterpart = BANKS[1 - index].to_owned();
            let request = v1::SetSettlementCapRequest { counterpart, currency: "EUR".into(), cap: CAP };
            self.admin(index)?.set_settlement_cap(request).await?;
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

    /// A connection to the gateway, or to the echo, over a client's certificate.
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
    pub(crate) fn admin(&self, index: usize) -> anyhow::Result<BankAdminClient<Channel>> {
        let bank = BankName::new(BANKS[index])?;
        let operator = Identity::Operator { bank: bank.clone(), name: "bench".into() };
        let files = self.network.files_of(&operator);
        let address = format!("127.0.0.1:{}", self.admins[index]);
        let ca = self.network.ca_file();
        Ok(strife_demo::admin::connect(&address, &bank, &ca, &files.certificate, &files.private_key)?)
    }

    /// The processes that are measured: the banks and the gateway, by name.
    pub(crate) fn pids(&self) -> Vec<(&'static str, u32)> {
        let measured = self.daemons.iter().filter(|(name, _)| *name != ECHO);
        measured.map(|(name, child)| (*name, child.id())).collect()
    }

    /// All customers' money at both banks, in cents, once nothing is on its way any more.
    ///
    /// # Errors
    /// A bank does not answer, or something never ends.
    pub(crate) async fn money(&self) -> anyhow::Result<i64> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let (mut money, mut open) = (0_i64, 0);
            for index in 0..BANKS.len() {
                let report = self.admin(index)?.report(v1::ReportRequest {}).await?.into_inner();
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
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
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
