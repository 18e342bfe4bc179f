//! The wires of a demo: between clients and each gateway, and between each gateway and each bank. Whoever is cut
//! off has none. Operators reach a bank without a wire: they sit beside it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::oneshot;

use crate::layout::{BANKS, Layout, gateway_name};
use crate::wire::{Way, Wire};

/// One wire and whom it connects; clients are not named.
#[derive(Debug)]
struct Laid {
    gateway: String,
    bank: Option<&'static str>,
    wire: Arc<Wire>,
}

/// All wires of a demo, on a thread of their own: the demo's runtimes come and go. They end when dropped.
#[derive(Debug)]
pub struct Wires {
    laid: Vec<Laid>,
    cut_off: Mutex<BTreeSet<String>>,
    _end: oneshot::Sender<()>,
}

impl Wires {
    /// Lays them where a layout has them.
    ///
    /// # Errors
    /// A port was taken meanwhile.
    pub fn lay(layout: &Layout) -> anyhow::Result<Self> {
        let plan = plan(layout);
        let (end, ended) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("wires".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error.into()))),
            };
            runtime.block_on(async {
                // who asked may have given up
                let _ = tell.send(lay(plan).await);
                // an error means that the wires were dropped
                let _ = ended.await;
            });
        })?;
        let laid = told.recv().context("the wires' thread ended")??;
        Ok(Self { laid, cut_off: Mutex::default(), _end: end })
    }

    /// Cuts a process off, or connects it again. A wire is whole when neither of its ends is cut off.
    pub fn set(&self, name: &str, cut_off: bool) {
        let mut names = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        if cut_off {
            names.insert(name.to_owned());
        } else {
            names.remove(name);
        }
        for laid in &self.laid {
            let is_cut = names.contains(&laid.gateway) || laid.bank.is_some_and(|bank| names.contains(bank));
            let way = if is_cut { Way::Cut } else { Way::Open };
            laid.wire.set(way, way);
        }
    }

    /// Whether a process is cut off.
    pub fn is_cut_off(&self, name: &str) -> bool {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

/// Gateway, bank, from, to.
type Planned = (String, Option<&'static str>, String, String);

fn plan(layout: &Layout) -> Vec<Planned> {
    let mut plan = Vec::new();
    for number in 1..=layout.ports.gateways.len() {
        let gateway = gateway_name(number);
        let (front, own) = (layout.gateway_address(number), layout.gateway_own_address(number));
        plan.push((gateway.clone(), None, front, own));
        for (index, bank) in BANKS.into_iter().enumerate() {
            let (listen, _) = layout.bank_addresses(index);
            plan.push((gateway.clone(), Some(bank), layout.wire_address(number, index), listen));
        }
    }
    plan
}

async fn lay(plan: Vec<Planned>) -> anyhow::Result<Vec<Laid>> {
    let mut laid = Vec::new();
    for (gateway, bank, from, to) in plan {
        let wire = Wire::between(&from, &to).await.with_context(|| format!("cannot listen on {from}"))?;
        laid.push(Laid { gateway, bank, wire });
    }
    Ok(laid)
}
