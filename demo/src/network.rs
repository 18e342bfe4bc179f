//! A running demo network: prepared, started, seeded; what a screen or a test works with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use strife_certs::identity::Identity;
use strife_proto::commit::BankName;

use crate::layout::{BANKS, CLIENT, Layout, NETWORK, OPERATOR, gateway_name};
use crate::processes::{Processes, check_writable};
use crate::{control, seed};

/// How long a start may take, in seconds.
const START_SECONDS_MAX: u64 = 60;

/// A running network.
#[derive(Debug)]
pub struct DemoNetwork {
    /// Its processes. Dropped before the layout, whose lock they outlive otherwise.
    pub processes: Arc<Processes>,
    /// Its files.
    pub layout: Layout,
}

/// What `--headless` prints: addresses and paths of everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Always true: it is printed when all are ready.
    pub ready: bool,
    /// The network's name.
    pub network: String,
    /// Addresses of the gateways.
    pub gateways: Vec<String>,
    /// Process ids of the gateways, in the same order.
    pub gateway_pids: Vec<u32>,
    /// The banks by name.
    pub banks: std::collections::BTreeMap<String, BankDescription>,
    /// The network's root certificate.
    pub ca: String,
    /// The network's name and roster key.
    pub trust: String,
    /// The signed roster.
    pub roster: String,
    /// A client's certificate.
    pub client_cert: String,
    /// A client's private key.
    pub client_key: String,
    /// `strife --config` with it opens the client on this network.
    pub client_config: String,
    /// All log files.
    pub logs: String,
    /// The demo's folder.
    pub data: String,
}

/// One bank of a running demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BankDescription {
    /// For gateways.
    pub address: String,
    /// For operators.
    pub admin_address: String,
    /// Process id.
    pub pid: u32,
    /// An operator's certificate.
    pub operator_cert: String,
    /// An operator's private key.
    pub operator_key: String,
}

impl DemoNetwork {
    /// Prepares, starts and seeds a network, and waits until all are ready.
    ///
    /// # Errors
    /// Whatever keeps it from starting, for a person to read.
    pub async fn start(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<Self> {
        let layout = Layout::prepare(dir, port_base, gateways)?;
        check_writable(&layout.dir)?;
        let processes = Arc::new(Processes::start_all(&layout)?);
        let alive = || {
            for name in processes.names() {
                if processes.pid(&name).is_none() {
                    bail!("{name} ended: {}", processes.last_words(&name));
                }
            }
            Ok(())
        };
        seed::wait_ready(&layout, Duration::from_secs(START_SECONDS_MAX), alive).await?;
        seed::seed(&layout).await?;
        if let Err(error) = control::listen(&layout.dir, processes.clone()) {
            // a folder whose name is too long for a socket; all else works
            eprintln!("strife: the demo cannot be controlled from outside: {error:#}");
        }
        Ok(Self { layout, processes })
    }

    /// Addresses and paths of everything.
    ///
    /// # Errors
    /// A process that has ended meanwhile.
    pub fn describe(&self) -> anyhow::Result<Description> {
        let text = |path: std::path::PathBuf| path.display().to_string();
        let pid = |name: &str| match self.processes.pid(name) {
            Some(pid) => Ok(pid),
            None => bail!("{name} ended: {}", self.processes.last_words(name)),
        };
        let network = &self.layout.network;
        let mut banks = std::collections::BTreeMap::new();
        for (index, name) in BANKS.iter().enumerate() {
            let (address, admin_address) = self.layout.bank_addresses(index);
            let operator = Identity::Operator { bank: BankName::new(name)?, name: OPERATOR.into() };
            let files = network.files_of(&operator);
            let bank = BankDescription {
                address,
                admin_address,
                pid: pid(name)?,
                operator_cert: text(files.certificate),
                operator_key: text(files.private_key),
            };
            banks.insert((*name).to_owned(), bank);
        }
        let numbers = 1..=self.layout.ports.gateways.len();
        let client = network.files_of(&Identity::Client(CLIENT.into()));
        Ok(Description {
            ready: true,
            network: NETWORK.to_owned(),
            gateways: numbers.clone().map(|number| self.layout.gateway_address(number)).collect(),
            gateway_pids: numbers.map(|number| pid(&gateway_name(number))).collect::<Result<_, _>>()?,
            banks,
            ca: text(network.ca_file()),
            trust: text(network.trust_file()),
            roster: text(network.roster_file()),
            client_cert: text(client.certificate),
            client_key: text(client.private_key),
            client_config: text(self.layout.client_config()),
            logs: text(self.layout.logs()),
            data: self.layout.dir.display().to_string(),
        })
    }
}
