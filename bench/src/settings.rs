//! What the daemons do, as read back from them: how durable their commits are, what they log, and that a forged order
//! and a forged session come to nothing. The bench sets none of it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, bail};
use serde::Serialize;
use strife_proto::Refusal;
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::transfer_reply::State;

use crate::people::{AUTHORIZATION, People};
use crate::world::{GATEWAY, NETWORK, World};

/// How a bank says how durable it is.
const DURABILITY: &str = "the writer's own connection has ";
/// What makes a commit survive a loss of power.
const DURABLE: &str = "journal_mode=wal synchronous=2";

/// What was read back.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadBack {
    /// What each bank's own connection to its journal says about its commits.
    durability: BTreeMap<String, String>,
    /// Of each daemon: the form of its RPC lines, and whether bodies stand on them.
    rpc_log: BTreeMap<String, RpcLog>,
    /// What came of an order whose signature is not its payer's.
    forged_order: String,
    /// What came of a session that no bank has signed.
    forged_session: String,
}

/// An RPC log as it is written.
#[derive(Clone, Debug, Serialize)]
struct RpcLog {
    format: &'static str,
    bodies: bool,
}

impl ReadBack {
    /// Asks a running network with people in it.
    ///
    /// # Errors
    /// A daemon is less careful than it is shipped, or does not say.
    pub(crate) async fn of(world: &World, people: &People) -> anyhow::Result<Self> {
        let (forged_order, forged_session) = (forge_order(people).await?, forge_session(people).await?);
        let mut durability = BTreeMap::new();
        let mut rpc_log = BTreeMap::new();
        for bank in &world.banks {
            let log = fs::read_to_string(world.log(bank.as_str(), "daemon"))?;
            let said = log.lines().find_map(|line| line.split_once(DURABILITY)).map(|(_, said)| said.trim());
            let said = said.with_context(|| format!("{bank} does not say how durable it is"))?;
            if !said.starts_with(DURABLE) {
                bail!("{bank} has {said}, not {DURABLE}");
            }
            durability.insert(bank.to_string(), said.to_owned());
        }
        for name in world.banks.iter().map(|bank| bank.as_str()).chain([GATEWAY]) {
            let log = fs::read_to_string(world.log(name, "rpc"))?;
            let line = log.lines().last().with_context(|| format!("{name} logs no calls"))?;
            let format = if line.starts_with('{') { "json" } else { "text" };
            rpc_log.insert(name.to_owned(), RpcLog { format, bodies: line.contains("asked") });
        }
        Ok(Self { durability, rpc_log, forged_order, forged_session })
    }
}

/// An order of one person that another has signed.
async fn forge_order(people: &People) -> anyhow::Result<String> {
    let (payer, payee) = (people.person((0, 0))?, people.person((1, 0))?);
    let (_, mut request) = payer.order((payee.account, &payee.bank))?;
    let (_, other) = payee.order((payer.account, &payer.bank))?;
    let signature = other.order.and_then(|order| order.signature);
    if let Some(order) = &mut request.order {
        order.signature = signature;
    }
    let roster = &people.trust.roster;
    match GatewayClient::new(payer.channel.clone()).submit(payer.call(request)).await {
        Ok(reply) => {
            let Some(State::Ended(statement)) = reply.into_inner().state else {
                bail!("a forged order was not decided in time")
            };
            let statement = Statement::verify(&statement, NETWORK, |bank| roster.signing_key(bank), None)?;
            if statement.word != Word::Void {
                bail!("a forged order came to {:?}", statement.word);
            }
            Ok("void".to_owned())
        }
        Err(status) => refused(&status).context("a forged order"),
    }
}

/// A session with another signature than its bank's.
async fn forge_session(people: &People) -> anyhow::Result<String> {
    let person = people.person((0, 0))?;
    let token = person.bearer.to_str()?;
    let (rest, signature) = token.rsplit_once('.').context("a token without a signature")?;
    let forged: String = signature.chars().rev().collect();
    let mut request = tonic::Request::new(v1::AccountsRequest {});
    request.metadata_mut().insert(AUTHORIZATION, format!("{rest}.{forged}").parse()?);
    match GatewayClient::new(person.channel.clone()).accounts(request).await {
        Ok(_) => bail!("a forged session was let in"),
        Err(status) => refused(&status).context("a forged session"),
    }
}

fn refused(status: &tonic::Status) -> anyhow::Result<String> {
    let refusal = Refusal::from_status(status).with_context(|| format!("no refusal: {status}"))?;
    Ok(refusal.name().to_owned())
}
