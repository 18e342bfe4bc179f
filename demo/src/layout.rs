//! Where the demo's network lives, and how its files are made: certificates once, settings at every start.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use strife_certs::authority::{LEAF_DAYS, Network};
use strife_certs::identity::Identity;
use strife_certs::pem;
use strife_proto::commit::BankName;
use toml_edit::{DocumentMut, Item, Key};

use crate::reset;

/// The network's name.
pub const NETWORK: &str = "demo";
/// The banks.
pub const BANKS: [&str; 2] = ["Bank1", "Bank2"];
/// The operator of each bank.
pub const OPERATOR: &str = "demo";
/// The client's name.
pub const CLIENT: &str = "demo";

/// Ports are tried from here on: below the range that systems give to outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Where everything is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of each gateway.
    pub gateways: Vec<GatewayPorts>,
    /// Of each bank: for gateways, for operators.
    pub banks: Vec<(u16, u16)>,
}

/// The ports of one gateway, and of the wires at both sides of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPorts {
    /// The wire that clients reach it over.
    pub front: u16,
    /// Its own, behind that wire.
    pub own: u16,
    /// The wires over which it reaches each bank.
    pub wires: Vec<u16>,
}

/// The demo's folder.
#[derive(Debug)]
pub struct Layout {
    /// The folder.
    pub dir: PathBuf,
    /// The network's certificates.
    pub network: Network,
    /// Where each daemon is reached.
    pub ports: Ports,
    _lock: File,
}

/// The demo's folder in the user's data directory.
///
/// # Errors
/// There is no home directory.
pub fn usual_dir() -> anyhow::Result<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "strife").context("there is no home directory")?;
    Ok(dirs.data_dir().join("demo"))
}

/// The client's settings file in a demo's folder.
pub fn client_config(dir: &Path) -> PathBuf {
    dir.join("client/client.toml")
}

/// Holds a demo's folder for as long as the file is open.
///
/// # Errors
/// A demo is running there.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let lock = File::create(dir.join("demo.lock"))?;
    if lock.try_lock().is_err() {
        bail!("a demo is running in {}; name another folder with --data-dir", dir.display());
    }
    Ok(lock)
}

impl Layout {
    /// Makes what is not there yet, and the settings anew with ports that are free.
    ///
    /// # Errors
    /// A file that cannot be made, a demo that runs there already, no free ports.
    pub fn prepare(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<Self> {
        pem::make_private_dir(dir)?;
        let dir = dir.canonicalize()?;
        reset::claim(&dir)?;
        let lock = lock(&dir)?;
        reset::finish(&dir)?;
        let network = make_network(&dir.join("network"), gateways)?;
        let ports = choose_ports(port_base, gateways)?;
        let layout = Self { dir, network, ports, _lock: lock };
        layout.write_settings()?;
        Ok(layout)
    }

    /// A bank's settings file.
    pub fn bank_config(&self, name: &str) -> PathBuf {
        self.dir.join("banks").join(name).join("bank.toml")
    }

    /// A gateway's settings file; the first is number 1.
    pub fn gateway_config(&self, number: usize) -> PathBuf {
        self.dir.join("gateways").join(gateway_name(number)).join("gateway.toml")
    }

    /// The client's settings file.
    pub fn client_config(&self) -> PathBuf {
        client_config(&self.dir)
    }

    /// Where all logs are.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// A gateway's address as clients reach it; the first is number 1.
    pub fn gateway_address(&self, number: usize) -> String {
        local(self.ports.gateways[number - 1].front)
    }

    /// A gateway's own address, behind the wire that its clients use; the first is number 1.
    pub fn gateway_own_address(&self, number: usize) -> String {
        local(self.ports.gateways[number - 1].own)
    }

    /// The address of the wire over which a gateway reaches a bank.
    pub fn wire_address(&self, number: usize, bank: usize) -> String {
        local(self.ports.gateways[number - 1].wires[bank])
    }

    /// A bank's address for gateways and for operators.
    pub fn bank_addresses(&self, index: usize) -> (String, String) {
        let (gateways, operators) = self.ports.banks[index];
        (local(gateways), local(operators))
    }

    fn trust(&self) -> String {
        format!(
            "[trust]\nauthority = {:?}\ntrust = {:?}\nroster = {:?}\n",
            self.network.ca_file(),
            self.network.trust_file(),
            self.network.roster_file()
        )
    }

    fn tls(&self, identity: &Identity) -> String {
        let files = self.network.files_of(identity);
        format!("[tls]\ncertificate = {:?}\nprivate_key = {:?}\n", files.certificate, files.private_key)
    }

    fn write_settings(&self) -> anyhow::Result<()> {
        for (index, name) in BANKS.iter().enumerate() {
            let (listen, admin) = self.bank_addresses(index);
            let identity = Identity::Bank(BankName::new(name)?);
            let keys = self.network.files_of(&identity).dir;
            let config = format!(
                "name = {name:?}\nlisten = {listen:?}\nadmin_listen = {admin:?}\ndata_dir = \"data\"\n\
                 keys_dir = {keys:?}\n{}{}[logs]\ndir = {:?}\nbodies = true\n",
                self.tls(&identity),
                self.trust(),
                self.logs().join(name)
            );
            write(&self.bank_config(name), &config)?;
        }
        let mut gateways = Vec::new();
        for number in 1..=self.ports.gateways.len() {
            let listen = self.gateway_own_address(number);
            let name = gateway_name(number);
            let wire =
                |(bank, name): (usize, &&str)| format!("{name} = {:?}\n", self.wire_address(number, bank));
            let banks: String = BANKS.iter().enumerate().map(wire).collect();
            let config = format!(
                "listen = {listen:?}\n{}{}[banks]\n{banks}[logs]\ndir = {:?}\nbodies = true\n",
                self.tls(&Identity::Gateway(name.clone())),
                self.trust(),
                self.logs().join(&name)
            );
            write(&self.gateway_config(number), &config)?;
            gateways.push(self.gateway_address(number));
        }
        let demo =
            "A rehearsal with play money. Sign in as user1 … user5 with pass1 … pass5, at Bank1 or Bank2.";
        let own = format!(
            "gateways = {gateways:?}\ndemo = {demo:?}\n{}{}",
            self.tls(&Identity::Client(CLIENT.into())),
            self.trust()
        );
        write_client_settings(&self.client_config(), &own)
    }
}

/// Writes the keys that are the demo's into the client's settings, and leaves what the person has set.
fn write_client_settings(path: &Path, own: &str) -> anyhow::Result<()> {
    let mut settings = match read_client_settings(path)? {
        Some(settings) => settings,
        None => "data_dir = \"data\"\nkeyring = false\n".parse()?,
    };
    for (key, item) in own.parse::<DocumentMut>()?.as_table() {
        match (settings.get_mut(key).and_then(Item::as_table_mut), item.as_table()) {
            // with the comments around it
            (Some(table), Some(own)) => {
                table.clear();
                table.extend(own.iter().map(|(key, item)| (Key::new(key), item.clone())));
            }
            _ => drop(settings.insert(key, item.clone())),
        }
    }
    write(path, &settings.to_string())
}

/// The client's settings as they are; `None` if there are none. What cannot be read is moved aside and told.
fn read_client_settings(path: &Path) -> anyhow::Result<Option<DocumentMut>> {
    let why = match fs::read_to_string(path) {
        Ok(text) => match text.parse::<DocumentMut>() {
            Ok(settings) if settings.contains_key("data_dir") => return Ok(Some(settings)),
            Ok(_) => "they name no data_dir".to_owned(),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => error.to_string(),
    };
    let aside = path.with_extension(format!("toml.broken-{}", strife_client::now_ms()));
    fs::rename(path, &aside).with_context(|| path.display().to_string())?;
    // whoever starts a demo without a terminal reads this in its log
    let _ = writeln!(
        std::io::stderr(),
        "The client's settings cannot be read ({why}); they were moved to {} and begun anew.",
        aside.display()
    );
    Ok(None)
}

/// The name of a gateway; the first is number 1.
pub fn gateway_name(number: usize) -> String {
    format!("gateway{number}")
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        pem::make_private_dir(parent)?;
    }
    pem::write_secret(path, text.as_bytes()).with_context(|| path.display().to_string())
}

/// Makes the network under another name and renames it, so that a half-made one is never used.
fn make_network(dir: &Path, gateways: usize) -> anyhow::Result<Network> {
    if !dir.exists() {
        let making = dir.with_extension("making");
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        let network = Network::create(&making, NETWORK)?;
        for name in BANKS {
            let bank = BankName::new(name)?;
            network.issue(&Identity::Bank(bank.clone()), LEAF_DAYS)?;
            network.issue(&Identity::Operator { bank, name: OPERATOR.into() }, LEAF_DAYS)?;
        }
        network.issue(&Identity::Client(CLIENT.into()), LEAF_DAYS)?;
        fs::rename(&making, dir)?;
    }
    let network = Network::open(dir)?;
    let mut members = vec![Identity::Client(CLIENT.into())];
    members.extend((1..=gateways).map(|number| Identity::Gateway(gateway_name(number))));
    for name in BANKS {
        let bank = BankName::new(name)?;
        members.push(Identity::Bank(bank.clone()));
        members.push(Identity::Operator { bank, name: OPERATOR.into() });
    }
    for identity in members {
        if !is_fresh(&network.files_of(&identity).certificate) {
            network.issue(&identity, LEAF_DAYS)?;
        }
    }
    Ok(network)
}

/// A certificate is there and has a month left at least. A bank keeps its own keys when it gets a new one.
fn is_fresh(certificate: &Path) -> bool {
    let issued = fs::metadata(certificate).and_then(|file| file.modified());
    let age = issued.ok().and_then(|issued| issued.elapsed().ok());
    age.is_some_and(|age| age < Duration::from_secs(60 * 86_400))
}

fn choose_ports(base: Option<u16>, gateways: usize) -> anyhow::Result<Ports> {
    let count = gateways * (2 + BANKS.len()) + 2 * BANKS.len();
    let ports: Vec<u16> = match base {
        Some(base) => (base..).take(count).collect(),
        None => free_ports(count)?,
    };
    if ports.len() < count {
        bail!("--port-base leaves no room for {count} ports");
    }
    // what people use comes first: it stays where it is when more wires are laid
    let (fronts, rest) = ports.split_at(gateways);
    let (banks, behind) = rest.split_at(2 * BANKS.len());
    let banks = banks.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let gateway = |(front, behind): (&u16, &[u16])| GatewayPorts {
        front: *front,
        own: behind[0],
        wires: behind[1..].to_vec(),
    };
    let gateways = fronts.iter().zip(behind.chunks_exact(1 + BANKS.len())).map(gateway).collect();
    Ok(Ports { gateways, banks })
}

/// Ports that nobody listens on, searched from a random place so that demos side by side seldom meet.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let start: [u8; 2] = strife_proto::signing::random().map_err(|_| anyhow::anyhow!("no random bytes"))?;
    let size = PORTS.end - PORTS.start;
    let offset = u16::from_be_bytes(start) % size;
    let mut found = Vec::new();
    for step in 0..size {
        let port = PORTS.start + (offset + step) % size;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            found.push(port);
            if found.len() == count {
                return Ok(found);
            }
        }
    }
    bail!("there are not {count} free ports between {} and {}", PORTS.start, PORTS.end)
}

#[cfg(test)]
mod tests {
    use strife_client::{ClientSettings, Settings, ThemeName};

    use super::*;

    const OWN: &str = "gateways = [\"127.0.0.1:1\"]\ndemo = \"play\"\n[tls]\ncertificate = \"/a\"\n\
                       private_key = \"/b\"\n[trust]\nauthority = \"/c\"\ntrust = \"/d\"\nroster = \"/e\"\n";

    #[test]
    fn what_a_person_has_set_outlives_the_next_start_and_the_demos_own_is_of_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client/client.toml");
        write_client_settings(&path, OWN).unwrap();
        let settings = ClientSettings::load(&path).unwrap();
        assert_eq!(settings.data_dir, dir.path().join("client/data"));
        assert!(!settings.keyring);

        let set = "# mine\n[screen]\ntheme = \"light\" # by day\n[screen.keys]\nquit = [\"Q\"]\n";
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("rpc_ms = 9000\n{text}{set}")).unwrap();
        let now = OWN.replace("127.0.0.1:1", "127.0.0.1:2").replace("/a", "/new");
        write_client_settings(&path, &now).unwrap();
        let settings = ClientSettings::load(&path).unwrap();
        assert_eq!(settings.gateways, ["127.0.0.1:2"]);
        assert_eq!(settings.tls.certificate, Path::new("/new"));
        assert_eq!((settings.screen.theme, settings.rpc_ms), (ThemeName::Light, 9_000));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(set), "{text}");
        write_client_settings(&path, &now).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "the same start changes nothing");
    }

    #[test]
    fn settings_that_cannot_be_read_are_moved_aside_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.toml");
        for broken in ["", "= torn"] {
            fs::write(&path, broken).unwrap();
            write_client_settings(&path, OWN).unwrap();
            ClientSettings::load(&path).unwrap();
            let aside = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
            let aside: Vec<PathBuf> = aside.filter(|other| *other != path).collect();
            assert_eq!(aside.len(), 1);
            assert_eq!(fs::read_to_string(&aside[0]).unwrap(), broken);
            fs::remove_file(&aside[0]).unwrap();
        }
    }
}
