//! A Unix socket in the demo's folder over which another process controls the demo's: one line asked, one or more
//! lines answered. Only the demo's own user can open it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use strife_tui::{Control, DemoControls, ProcessState};

use crate::processes::Processes;

/// The socket in a demo's folder.
const SOCKET: &str = "control.sock";
/// How long one exchange may take: a restart waits for an orderly stop.
const EXCHANGE_MAX: Duration = Duration::from_secs(30);
/// How long a caller may take to say what it wants.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// What is asked for besides [`Control`].
const STATUS: &str = "status";

/// Listens for as long as the process lives.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(dir: &Path, processes: Arc<Processes>) -> anyhow::Result<()> {
    let path = dir.join(SOCKET);
    let new = dir.join(format!("{SOCKET}.new"));
    // left by a demo that was killed; ours is the lock
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new).with_context(|| new.display().to_string())?;
    // nobody finds it under its name before its mode is set
    std::fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    std::fs::rename(&new, &path)?;
    let processes = Arc::downgrade(&processes);
    std::thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming() {
            let Some(processes) = processes.upgrade() else { return };
            if let Ok(stream) = stream {
                // a caller that goes away hurts itself alone
                let _ = serve(stream, &processes);
            }
        }
    })?;
    Ok(())
}

fn serve(mut stream: UnixStream, processes: &Processes) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(QUESTION_MAX))?;
    stream.set_write_timeout(Some(QUESTION_MAX))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let wanted = line.trim().split_once(' ').and_then(|(word, name)| Some((Control::from_word(word)?, name)));
    let answer = match wanted {
        Some((what, name)) => processes.control(name, what).map(|()| format!("{name} {}", what.done())),
        None if line.trim() == STATUS => Ok(status(processes)),
        None => Err(anyhow::anyhow!("say: {STATUS}, or one of {} with a process", words())),
    };
    match answer {
        Ok(text) => writeln!(stream, "{text}")?,
        Err(error) => writeln!(stream, "error: {error:#}")?,
    }
    Ok(())
}

fn words() -> String {
    Control::ALL.map(Control::word).join(", ")
}

/// A line for each process: name, state, process id, last words, with tabs between them.
fn status(processes: &Processes) -> String {
    let line = |(name, state): (String, ProcessState)| {
        let pid = processes.pid(&name).map(|pid| pid.to_string()).unwrap_or_default();
        let last_words = match &state {
            ProcessState::Ended(last_words) => last_words.replace('\t', " "),
            _ => String::new(),
        };
        format!("{name}\t{}\t{pid}\t{last_words}", state.words())
    };
    processes.states().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn exchange(dir: &Path, line: &str) -> anyhow::Result<Vec<String>> {
    let mut stream = UnixStream::connect(dir.join(SOCKET))
        .with_context(|| format!("no demo runs in {}", dir.display()))?;
    stream.set_read_timeout(Some(EXCHANGE_MAX))?;
    writeln!(stream, "{line}")?;
    let answers = BufReader::new(stream).lines().collect::<Result<Vec<_>, _>>()?;
    match answers.first().map(|first| first.strip_prefix("error: ")) {
        None => bail!("the demo ended before it answered"),
        Some(Some(error)) => bail!("{error}"),
        Some(None) => Ok(answers),
    }
}

/// One process of a running demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: ProcessState,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
}

/// The processes of a demo that runs in a folder.
///
/// # Errors
/// No demo runs there, or it says what this program does not understand.
pub fn processes(dir: &Path) -> anyhow::Result<Vec<Process>> {
    let read = |line: &String| {
        let mut cells = line.split('\t');
        let (name, words, pid, last_words) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        let state = ProcessState::from_words(words, last_words)?;
        Some(Process { name: name.to_owned(), state, pid: pid.parse().ok() })
    };
    let lines = exchange(dir, STATUS)?;
    lines.iter().map(|line| read(line).with_context(|| format!("the demo says {line:?}"))).collect()
}

/// Does something to a process of a demo that runs in a folder, and returns what is said of it then.
///
/// # Errors
/// No demo runs there, or it refuses.
pub fn control(dir: &Path, name: &str, what: Control) -> anyhow::Result<String> {
    Ok(exchange(dir, &format!("{} {name}", what.word()))?.join("\n"))
}

/// The controls of a demo that runs in another process.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The demo's folder.
    pub dir: PathBuf,
}

impl DemoControls for Remote {
    fn processes(&self) -> Vec<(String, ProcessState)> {
        // none where the demo has ended
        let processes = processes(&self.dir).unwrap_or_default();
        processes.into_iter().map(|process| (process.name, process.state)).collect()
    }

    fn control(&self, name: &str, what: Control) -> Result<(), String> {
        control(&self.dir, name, what).map(|_| ()).map_err(|error| format!("{error:#}"))
    }
}
