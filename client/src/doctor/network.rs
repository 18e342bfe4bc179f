//! Each gateway, step by step: its name, its port, its certificate, its answer.

use std::io;
use std::time::{Duration, Instant};

use strife_certs::CertsError;
use strife_certs::identity::Identity;
use strife_certs::inspect::{Facts, day_of, greet_gateway};
use strife_certs::tls::Material;
use strife_config::ClientSettings;
use strife_seams::Seams;

use super::Finding;
use crate::api::{Api, Trust};

/// Longest wait for one step, in milliseconds.
const STEP_MS_MAX: u64 = 4_000;
const GATEWAY: &str = "gateway";

/// Why a step with a gateway failed.
#[derive(Debug)]
pub enum Trouble {
    /// Its name is not known.
    NoName(String),
    /// Nobody answers at its port.
    NoConnection(String),
    /// It is not who it should be, or its certificate is not one of the network's.
    Stranger(String),
    /// Its certificate is not valid at this machine's time.
    Clock(String),
    /// It does not say which banks there are.
    NoAnswer(String),
}

/// What a gateway has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who it is.
    pub identity: String,
    /// The network's banks, and whether it reaches each.
    pub banks: Vec<(String, bool)>,
    /// Round trip of the call, in milliseconds.
    pub latency_ms: u128,
    /// Until when its certificate is valid, milliseconds since the Unix epoch.
    pub until_ms: i64,
}

/// Resolves an address and connects to it, no more.
///
/// # Errors
/// [`Trouble::NoName`], [`Trouble::NoConnection`].
pub async fn connect(address: &str) -> Result<(), Trouble> {
    let known =
        within(tokio::net::lookup_host(address)).await.map_err(|why| Trouble::NoName(why.to_string()))?;
    let addresses: Vec<_> = known.collect();
    if addresses.is_empty() {
        return Err(Trouble::NoName("the name has no address".into()));
    }
    let stream = within(tokio::net::TcpStream::connect(addresses.as_slice())).await;
    stream.map(drop).map_err(|why| Trouble::NoConnection(why.to_string()))
}

/// Everything up to the gateway's own answer.
///
/// # Errors
/// [`Trouble`].
pub async fn ask(settings: &ClientSettings, address: &str) -> Result<Answer, Trouble> {
    connect(address).await?;
    let facts = greet(settings, address).await?;
    let Identity::Gateway(_) = facts.peer.identity else {
        return Err(Trouble::Stranger(format!("it is {}, no gateway", facts.peer.identity)));
    };
    let trust = Trust::load(settings).map_err(|error| Trouble::Stranger(error.to_string()))?;
    if facts.peer.network != trust.roster.network {
        return Err(Trouble::Stranger(format!("it is of network {}", facts.peer.network)));
    }
    let api = Api::new(trust, address, STEP_MS_MAX, Seams::of_this_machine());
    let unanswered = |why: String| Trouble::NoAnswer(why);
    // the first call connects, the second one is measured
    api.banks().await.map_err(|error| unanswered(error.to_string()))?;
    let begun = Instant::now();
    let banks = api.banks().await.map_err(|error| unanswered(error.to_string()))?;
    Ok(Answer {
        identity: facts.peer.identity.to_string(),
        banks: banks.into_iter().map(|bank| (bank.name, bank.reachable)).collect(),
        latency_ms: begun.elapsed().as_millis(),
        until_ms: facts.not_after_ms,
    })
}

async fn greet(settings: &ClientSettings, address: &str) -> Result<Facts, Trouble> {
    let material = Material {
        authority: &settings.trust.authority,
        certificate: &settings.tls.certificate,
        private_key: &settings.tls.private_key,
    };
    let config = material.client().map_err(|error: CertsError| Trouble::Stranger(error.to_string()))?;
    let dial = Seams::of_this_machine().dial;
    within(greet_gateway(&dial, address, config)).await.map_err(judge)
}

/// What a failed handshake means.
fn judge(error: io::Error) -> Trouble {
    use rustls::{CertificateError, Error};
    let says = error.to_string();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => Trouble::Clock(says),
        Some(_) => Trouble::Stranger(says),
        None => Trouble::NoConnection(says),
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(Duration::from_millis(STEP_MS_MAX), step).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}

pub(super) async fn gateways(settings: &ClientSettings, now_ms: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clock = None;
    for address in &settings.gateways {
        findings.push(match ask(settings, address).await {
            Ok(answer) => {
                clock = Some(Finding::good(
                    "clock",
                    format!(
                        "{}, and the gateway's certificate is valid by it until {}.",
                        day_of(now_ms),
                        day_of(answer.until_ms)
                    ),
                ));
                answered(address, &answer)
            }
            Err(Trouble::Clock(why)) => {
                clock = Some(Finding::problem(
                    "clock",
                    format!("By this machine's clock it is {}; for that the certificate of {address} is not valid ({why}).", day_of(now_ms)),
                    "Set the clock (`timedatectl set-ntp true`); if it is right, the gateway needs a new certificate.",
                ));
                continue;
            }
            Err(trouble) => refused(address, trouble),
        });
    }
    findings.extend(clock);
    findings
}

fn answered(address: &str, answer: &Answer) -> Finding {
    let away: Vec<&str> =
        answer.banks.iter().filter(|(_, reachable)| !reachable).map(|(name, _)| name.as_str()).collect();
    let says = format!("{address} is {}, answers in {} ms", answer.identity, answer.latency_ms);
    if away.is_empty() {
        let names: Vec<&str> = answer.banks.iter().map(|(name, _)| name.as_str()).collect();
        return Finding::good(GATEWAY, format!("{says}, and reaches {}.", names.join(", ")));
    }
    Finding::warning(
        GATEWAY,
        format!("{says}, but does not reach {}.", away.join(", ")),
        "Wait, or tell whoever runs that bank; payments stay in the queue until then.",
    )
}

fn refused(address: &str, trouble: Trouble) -> Finding {
    let (says, mend) = match trouble {
        Trouble::NoName(why) => (
            format!("{address}: the name is not known ({why})."),
            "Look at the address under `gateways` in the settings, and at this machine's DNS.",
        ),
        Trouble::NoConnection(why) => (
            format!("{address}: no connection ({why})."),
            "Look whether the network is up and the gateway runs; orders stay in the queue until then.",
        ),
        Trouble::Stranger(why) | Trouble::Clock(why) => (
            format!("{address} is not a gateway of this network ({why})."),
            "Look at the address under `gateways`; if it is right, do not use it before whoever runs the network has \
             said why.",
        ),
        Trouble::NoAnswer(why) => (
            format!("{address}: connected, but it does not answer ({why})."),
            "Try again; if it stays so, tell whoever runs the gateway.",
        ),
    };
    Finding::problem(GATEWAY, says, mend)
}
