//! The loop: events in, model changed, effects carried out, drawn if something changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use jiff::tz::TimeZone;
use strife_client::{Client, ClientSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::demo::{Control, DemoControls};
use crate::model::{Demo, Model};
use crate::terminal::Screen;
use crate::theme::Theme;
use crate::update::{Effect, Msg, update};
use crate::view;

/// Movements on a page.
const PAGE_SIZE: u32 = 50;
/// How often something that counts down is drawn, in milliseconds.
const COUNTDOWN_MS: u64 = 250;
/// Shortest time between two drawings, in milliseconds.
const FRAME_MS: u64 = 16;

/// Opens the screen and runs until the person leaves or a signal ends it.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(settings: ClientSettings, demo: Option<Arc<dyn DemoControls>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(open(settings, demo));
    runtime.shutdown_background();
    result
}

async fn open(settings: ClientSettings, demo: Option<Arc<dyn DemoControls>>) -> anyhow::Result<()> {
    let sentence = settings.demo.clone();
    let client = Client::start(settings)?;
    let mut view = client.view();
    let zone = TimeZone::system();
    let first = view.borrow_and_update().clone();
    let mut model = Model::new(first, sentence, Theme::of_environment(), zone, Instant::now());
    model.demo = demo.as_ref().map(|demo| Demo { processes: demo.processes() });

    let mut screen = Screen::take()?;
    let mut events = EventStream::new();
    let (messages, mut received) = mpsc::channel::<Msg>(64);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut drawn = Instant::now();
    let mut dirty = true;
    while !model.quit {
        if dirty {
            tokio::time::sleep_until((drawn + Duration::from_millis(FRAME_MS)).into()).await;
            model.now = Instant::now();
            screen.terminal.draw(|frame| view::draw(&model, frame))?;
            drawn = Instant::now();
        }
        let countdown = model.counts_down();
        let msg = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => Some(Msg::Key(key)),
                Some(Ok(Event::Paste(text))) => Some(Msg::Paste(text)),
                Some(Ok(_)) => None,
                // the terminal is gone
                Some(Err(_)) | None => break,
            },
            msg = received.recv() => msg,
            changed = view.changed() => match changed {
                Ok(()) => Some(Msg::View(Box::new(view.borrow_and_update().clone()))),
                Err(_) => anyhow::bail!("the client's worker ended unexpectedly"),
            },
            () = tokio::time::sleep(Duration::from_millis(COUNTDOWN_MS)), if countdown => {
                Some(Msg::Tick(Instant::now()))
            }
            _ = terminate.recv() => break,
            _ = hang_up.recv() => break,
        };
        dirty = true;
        if let Some(msg) = msg {
            for effect in update(&mut model, msg) {
                carry_out(effect, &client, demo.clone(), messages.clone());
            }
        }
    }
    drop(screen);
    client.stop().await;
    Ok(())
}

/// Carries out an effect in a task of its own, which comes back as a message.
fn carry_out(
    effect: Effect,
    client: &Client,
    demo: Option<Arc<dyn DemoControls>>,
    messages: mpsc::Sender<Msg>,
) {
    let client = client.clone();
    tokio::spawn(async move {
        let msg = match effect {
            Effect::LogIn { bank, person, password } => {
                Some(Msg::SignedIn(client.log_in(bank, &person, password).await.map_err(say)))
            }
            Effect::LogOut => {
                client.log_out().await;
                None
            }
            Effect::Pay(payment) => Some(Msg::Queued(client.pay(payment).await.map_err(say))),
            Effect::LoadHistory { account, cursor } => Some(load_history(&client, account, cursor).await),
            Effect::Retry(id) => {
                client.retry(id).await;
                None
            }
            Effect::Cancel(id) => Some(Msg::Cancelled(id, client.cancel(id).await.map_err(say))),
            Effect::SendAgain(id) => {
                client.send_again(id).await;
                None
            }
            Effect::Dismiss(id) => {
                client.dismiss(id).await;
                None
            }
            Effect::DismissEnded => {
                client.dismiss_ended().await;
                None
            }
            Effect::SetOffline(offline) => {
                client.set_offline(offline).await;
                None
            }
            Effect::DemoToggle { name, running } => toggle(demo, name, running, &messages).await,
        };
        if let Some(msg) = msg {
            // the screen may be gone by now
            let _ = messages.send(msg).await;
        }
    });
}

fn say(problem: impl std::fmt::Display) -> String {
    problem.to_string()
}

async fn load_history(client: &Client, account: String, cursor: Option<Vec<u8>>) -> Msg {
    let first = cursor.is_none();
    let at_least_position = client.view().borrow().position;
    let page = client.history_page(&account, cursor, PAGE_SIZE, at_least_position).await;
    let result = page.map_err(say);
    Msg::Page { account, first, result }
}

async fn toggle(
    demo: Option<Arc<dyn DemoControls>>,
    name: String,
    running: bool,
    messages: &mpsc::Sender<Msg>,
) -> Option<Msg> {
    let demo = demo?;
    let done = tokio::task::spawn_blocking(move || {
        let what = if running { Control::Kill } else { Control::Start };
        (demo.control(&name, what).map(|()| format!("{name} {}.", what.done())), demo.processes())
    });
    let (result, processes) = done.await.ok()?;
    // the screen may be gone by now
    let _ = messages.send(Msg::Demo(Demo { processes })).await;
    Some(Msg::DemoDone(result))
}
