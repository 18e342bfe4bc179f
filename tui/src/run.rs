//! The loop: events in, model changed, effects carried out, drawn if something changed.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::event::{Event, EventStream};
use futures::{FutureExt, StreamExt};
use jiff::tz::TimeZone;
use rustix::process::{Signal, getpid, kill_process};
use strife_client::payees::PayeeBook;
use strife_client::{Client, ClientSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::demo::DemoControls;
use crate::effects::{Actors, to_desktop, to_terminal};
use crate::model::{Demo, Model};
use crate::preferences::Preferences;
use crate::sequences;
use crate::terminal::{Screen, last_panic};
use crate::theme::Environment;
use crate::update::{Effect, Msg, update};
use crate::view;

/// Shortest time between two drawings, in milliseconds.
const FRAME_MS: u64 = 16;

/// Messages that are taken up between two drawings.
const BACKLOG_MAX: usize = 1_000;

/// Opens the screen and runs until the person leaves or a signal ends it.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(settings: ClientSettings, demo: Option<Arc<dyn DemoControls>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(AssertUnwindSafe(open(settings, demo)).catch_unwind());
    runtime.shutdown_background();
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => match last_panic() {
            Some(panic) => Err(error.context(panic)),
            None => Err(error),
        },
        // the terminal was given back on the way here
        Err(_) => Err(anyhow::anyhow!(last_panic().unwrap_or_default()))
            .context("it failed inside; what is queued is safe on the disk"),
    }
}

async fn open(settings: ClientSettings, demo: Option<Arc<dyn DemoControls>>) -> anyhow::Result<()> {
    let preferences = Preferences::new(settings.screen.clone(), Environment::of_process())?;
    let facts = facts(&settings);
    let sentence = settings.demo.clone();
    let (messages, received) = mpsc::channel::<Msg>(64);
    let payees = PayeeBook::of(&settings.data_dir);
    let exports = exports(&settings);
    let settings_file = settings.file.clone();
    let client = Client::start(settings)?;
    let first = client.view().borrow().clone();
    let mut model = Model::new(first, sentence, preferences, TimeZone::system(), Instant::now());
    model.demo = demo.as_ref().map(|demo| Demo { processes: demo.processes() });
    model.facts = facts;
    let (payees, keeping) = (Arc::new(payees), Arc::default());
    let actors = Actors { client: client.clone(), demo, messages, payees, exports, settings_file, keeping };
    actors.carry_out(Effect::LoadPayees, model.epoch);
    let result = converse(&mut model, &actors, received).await;
    // there is no screen any more to tell on
    if let Err(why) = actors.keep().await {
        eprintln!("strife: what was changed last is not kept: {why}");
    }
    client.stop().await;
    result
}

/// Where exports are written: the person's folder for downloads, else the data folder.
fn exports(settings: &ClientSettings) -> PathBuf {
    let downloads = directories::UserDirs::new().and_then(|dirs| dirs.download_dir().map(PathBuf::from));
    downloads.filter(|folder| folder.is_dir()).unwrap_or_else(|| settings.data_dir.clone())
}

/// Where things are, for the settings screen.
fn facts(settings: &ClientSettings) -> Vec<(String, String)> {
    let file = settings.file.as_ref().map_or("none".into(), |file| file.display().to_string());
    vec![
        ("Settings file".into(), file),
        ("Gateways".into(), settings.gateways.join(", ")),
        ("Queue and payees".into(), settings.data_dir.display().to_string()),
        ("Exports".into(), exports(settings).display().to_string()),
        ("Certificate".into(), settings.tls.certificate.display().to_string()),
    ]
}

async fn converse(
    model: &mut Model,
    actors: &Actors,
    mut received: mpsc::Receiver<Msg>,
) -> anyhow::Result<()> {
    let mut view = actors.client.view();
    let mut screen = Screen::take(model.preferences.settings.mouse)?;
    let size = screen.terminal.size()?;
    model.size = (size.width, size.height);
    model.wall_ms = strife_client::now_ms();
    model.touched_ms = model.wall_ms;
    let mut events = terminal_events();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut drawn = Instant::now();
    let mut dirty = true;
    while !model.quit {
        if dirty {
            tokio::time::sleep_until((drawn + Duration::from_millis(FRAME_MS)).into()).await;
            model.tick(Instant::now());
            screen.terminal.draw(|frame| view::draw(model, frame))?;
            drawn = Instant::now();
        }
        let changes_at = model.changes_at();
        let msg = tokio::select! {
            event = events.recv() => match event {
                Some(event) => message_of(event),
                // the terminal is gone
                None => break,
            },
            msg = received.recv() => msg,
            changed = view.changed() => {
                changed.context("the client's worker ended unexpectedly")?;
                Some(Msg::View(Box::new(view.borrow_and_update().clone())))
            }
            () = sleep_until(changes_at) => Some(Msg::Tick(Instant::now())),
            _ = terminate.recv() => break,
            _ = hang_up.recv() => break,
            _ = go_on.recv() => {
                // stopped from outside and continued: whatever stands there now is not ours
                screen.take_again()?;
                None
            }
        };
        dirty = true;
        take(model, msg, actors, &mut screen)?;
        // whatever has come meanwhile is taken up before anything is drawn
        for _ in 0..BACKLOG_MAX {
            let msg = match (events.try_recv(), received.is_empty()) {
                (Ok(event), _) => message_of(event),
                (Err(_), false) => received.try_recv().ok(),
                (Err(_), true) => break,
            };
            take(model, msg, actors, &mut screen)?;
        }
    }
    Ok(())
}

/// What the terminal tells, until it is gone. Read by a task of its own: the stream can be asked by one alone.
fn terminal_events() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(BACKLOG_MAX);
    tokio::spawn(async move {
        let mut events = EventStream::new();
        while let Some(Ok(event)) = events.next().await {
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Takes one message up, and has done what it wants.
fn take(model: &mut Model, msg: Option<Msg>, actors: &Actors, screen: &mut Screen) -> anyhow::Result<()> {
    let Some(msg) = msg else { return Ok(()) };
    model.now = Instant::now();
    model.wall_ms = strife_client::now_ms();
    for effect in update(model, msg) {
        carry_out(model, effect, actors, screen)?;
    }
    Ok(())
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn message_of(event: Event) -> Option<Msg> {
    Some(match event {
        Event::Key(key) => Msg::Key(key),
        Event::Paste(text) => Msg::Paste(text),
        Event::Mouse(mouse) => Msg::Mouse(mouse),
        Event::FocusGained => Msg::HasFocus(true),
        Event::FocusLost => Msg::HasFocus(false),
        Event::Resize(columns, rows) => Msg::Size(columns, rows),
    })
}

/// What needs the terminal is done here, the rest by the actors.
fn carry_out(model: &mut Model, effect: Effect, actors: &Actors, screen: &mut Screen) -> anyhow::Result<()> {
    let wanted = model.preferences.settings.notifications;
    match effect {
        Effect::Copy(text) => {
            screen.send(&sequences::copy(&text))?;
            model.toast(
                strife_client::view::NoticeKind::Info,
                format!("Given to the terminal to copy: {text}"),
            );
        }
        Effect::Mouse(mouse) => screen.set_mouse(mouse)?,
        Effect::Suspend => {
            crate::terminal::restore();
            // stops here; a shell without job control lets it go on at once
            kill_process(getpid(), Signal::TSTP)?;
            screen.take_again()?;
        }
        Effect::Notify(text) => {
            if to_terminal(wanted) {
                screen.send(&sequences::notice(&text))?;
            }
            if to_desktop(wanted) {
                actors.carry_out(Effect::Notify(text), model.epoch);
            }
        }
        effect => actors.carry_out(effect, model.epoch),
    }
    Ok(())
}
