//! The first start: a few screens that ask for what a client needs, check it, and write the settings. Elm-shaped like
//! the client itself: [`model`], [`update`], [`view`] know no I/O; this loop carries out what [`update`] wants.
//!
//! What must never: a file written before the last screen's *Write*; settings overwritten.

pub mod keys;
pub mod model;
pub mod update;
pub mod view;

use std::path::{Path, PathBuf};

use anyhow::Context;
use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use strife_client::setup::{self, Plan};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::terminal::Screen;
use crate::theme::Theme;
use model::{End, Model};
use update::{Effect, Msg, Reply, update};

/// Asks for everything and writes the settings to `config`. `false` if its person left; nothing is written then.
///
/// # Errors
/// There is no terminal or no home directory.
pub fn run(config: &Path) -> anyhow::Result<bool> {
    let config = std::path::absolute(config)?;
    let model = Model::new(Theme::of_environment(), config.clone(), data_dir(&config)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let written = runtime.block_on(open(model));
    // a check that hangs (a network's file system) does not hold the person up
    runtime.shutdown_background();
    written
}

/// The usual settings go with the usual data folder; named ones have a folder of their own beside them, so that two
/// clients never share an outbox.
fn data_dir(config: &Path) -> anyhow::Result<PathBuf> {
    let usual = directories::ProjectDirs::from("", "", "strife");
    match usual {
        Some(usual) if usual.config_dir().join("client.toml") == config => Ok(usual.data_dir().to_owned()),
        _ => Ok(config.parent().context("the settings file is in no folder")?.join("data")),
    }
}

async fn open(mut model: Model) -> anyhow::Result<bool> {
    let mut screen = Screen::take(false)?;
    let mut events = EventStream::new();
    let (replies, mut received) = mpsc::channel::<Reply>(16);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    while model.end.is_none() {
        screen.terminal.draw(|frame| view::draw(&model, frame))?;
        let msg = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => Msg::Key(key),
                Some(Ok(Event::Paste(text))) => Msg::Paste(text),
                Some(Ok(_)) => Msg::Redraw,
                // the terminal is gone
                Some(Err(_)) | None => Msg::Leave,
            },
            Some(reply) = received.recv() => Msg::Reply(reply),
            _ = terminate.recv() => Msg::Leave,
            _ = hang_up.recv() => Msg::Leave,
        };
        for effect in update(&mut model, msg) {
            carry_out(effect, replies.clone());
        }
    }
    Ok(model.end == Some(End::Written))
}

/// Carries out an effect in a task of its own.
fn carry_out(effect: Effect, replies: mpsc::Sender<Reply>) {
    tokio::spawn(async move {
        let reply = match effect {
            Effect::Connect { ticket, address } => {
                Some(Reply::Connected { ticket, result: setup::connect(&address).await })
            }
            Effect::Greet { ticket, plan } => {
                let plan = in_full(plan);
                Some(Reply::Greeted { ticket, result: setup::greet(&plan).await })
            }
            // files may lie on something slow
            effect => tokio::task::spawn_blocking(move || with_files(effect)).await.ok().flatten(),
        };
        if let Some(reply) = reply {
            // the screen may be gone by now
            let _ = replies.send(reply).await;
        }
    });
}

fn with_files(effect: Effect) -> Option<Reply> {
    match effect {
        Effect::FindFiles { ticket, dir } => {
            Some(Reply::Found { ticket, result: setup::find_files(&full(&dir)) })
        }
        Effect::Fingerprint { ticket, authority } => {
            Some(Reply::Fingerprint { ticket, result: setup::fingerprint(&full(&authority)) })
        }
        Effect::CheckRoster { ticket, roster, trust } => {
            Some(Reply::Roster { ticket, result: setup::check_roster(&full(&roster), &full(&trust)) })
        }
        Effect::CheckCertificate { ticket, plan, network } => {
            let files = in_full(plan).files;
            Some(Reply::Certificate { ticket, result: setup::check_certificate(&files, &network) })
        }
        Effect::Write { ticket, plan } => {
            Some(Reply::Written { ticket, result: setup::install(&in_full(plan)) })
        }
        // carried out elsewhere
        Effect::Connect { .. } | Effect::Greet { .. } => None,
    }
}

fn in_full(plan: Plan) -> Plan {
    let files = plan.files;
    let files = setup::Files {
        authority: full(&files.authority),
        trust: full(&files.trust),
        roster: full(&files.roster),
        certificate: full(&files.certificate),
        private_key: full(&files.private_key),
    };
    Plan { files, ..plan }
}

/// A typed path: `~` is the home folder, a relative one is of where the program was started.
fn full(path: &Path) -> PathBuf {
    let home = directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    std::path::absolute(&path).unwrap_or(path)
}
