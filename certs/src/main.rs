//! `strife-certs`: makes a network and its members' certificates. `main` only wires.

use std::path::PathBuf;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use strife_certs::authority::{LEAF_DAYS, Network};
use strife_certs::identity::Identity;
use strife_certs::inspect::fingerprint;
use strife_pages::Pages;
use strife_proto::commit::BankName;

/// The network's certificates: make a network, issue certificates to its members.
#[derive(Parser)]
#[command(name = "strife-certs", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new network: root, client-issuing intermediate, roster key.
    Init {
        /// The network's folder.
        dir: PathBuf,
        /// The network's name.
        #[arg(long)]
        network: String,
    },
    /// Issue a certificate with a new key; for a new bank also its own keys and the next roster.
    Issue {
        /// The network's folder.
        dir: PathBuf,
        /// Days that the certificate is valid.
        #[arg(long, default_value_t = LEAF_DAYS, value_parser = clap::value_parser!(i64).range(1..=825))]
        days: i64,
        #[command(subcommand)]
        member: Member,
    },
    /// Show the roster, and the fingerprint of the root certificate.
    Roster {
        /// The network's folder.
        dir: PathBuf,
    },
    #[command(flatten)]
    Pages(Pages),
}

#[derive(Subcommand)]
enum Member {
    /// A bank's daemon.
    Bank { name: String },
    /// A gateway's daemon.
    Gateway { name: String },
    /// A person's client.
    Client { name: String },
    /// Somebody who administers one bank.
    Operator { bank: String, name: String },
}

fn main() -> anyhow::Result<()> {
    strife_certs::tls::install_provider();
    match Arguments::parse().command {
        Command::Init { dir, network } => {
            let network = Network::create(&dir, &network)?;
            println!("made network {} in {}", network.name(), dir.display());
            println!("keep {} offline", dir.join("authority").display());
            println!("SHA-256 of ca.pem: {}", fingerprint(&network.ca_file())?);
        }
        Command::Issue { dir, days, member } => {
            let network = Network::open(&dir)?;
            let bank_name = |name: &str| BankName::new(name).with_context(|| format!("{name:?}"));
            let identity = match member {
                Member::Bank { name } => Identity::Bank(bank_name(&name)?),
                Member::Gateway { name } => Identity::Gateway(name),
                Member::Client { name } => Identity::Client(name),
                Member::Operator { bank, name } => Identity::Operator { bank: bank_name(&bank)?, name },
            };
            let files = network.issue(&identity, days)?;
            println!("issued {} for {days} days", identity.uri(network.name())?);
            println!("{}\n{}", files.certificate.display(), files.private_key.display());
            if matches!(identity, Identity::Bank(_)) {
                println!("roster version {}: give it to every member", network.roster()?.version);
            }
            if matches!(identity, Identity::Client(_)) {
                println!("hand these two out with ca.pem, trust.json and roster.bin, and tell, another way,");
                println!("SHA-256 of ca.pem: {}", fingerprint(&network.ca_file())?);
            }
        }
        Command::Roster { dir } => {
            let roster = Network::open(&dir)?.roster()?;
            println!("network {}, version {}", roster.network, roster.version);
            println!("SHA-256 of ca.pem: {}", fingerprint(&dir.join("ca.pem"))?);
            for (name, keys) in &roster.banks {
                println!("{name}: signing {:?}, token {:?}", keys.signing.id(), keys.token.id());
            }
        }
        Command::Pages(pages) => pages.write(Arguments::command())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_and_man_pages_name_every_subcommand() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(strife_pages::missing(&Arguments::command(), dir.path()).unwrap(), Vec::<String>::new());
    }
}
