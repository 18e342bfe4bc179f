//! A Unix socket in the demo's folder over which another process can kill and start daemons: one line asked,
//! one or more lines answered.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::processes::Processes;

/// The socket in a demo's folder.
const SOCKET: &str = "control.sock";
/// How long one exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);

/// Listens for as long as the process lives.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(dir: &Path, processes: Arc<Processes>) -> anyhow::Result<()> {
    let path = dir.join(SOCKET);
    // left by a demo that was killed; ours is the lock
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
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
    stream.set_read_timeout(Some(EXCHANGE_MAX))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let answer = match line.trim().split_once(' ') {
        Some(("kill", name)) => processes.kill(name).map(|()| format!("ok: {name} is killed")),
        Some(("start", name)) => processes.start(name).map(|()| format!("ok: {name} is started")),
        None if line.trim() == "status" => Ok(status(processes)),
        _ => Err(anyhow::anyhow!("say: kill NAME, start NAME, or status")),
    };
    match answer {
        Ok(text) => writeln!(stream, "{text}")?,
        Err(error) => writeln!(stream, "error: {error:#}")?,
    }
    Ok(())
}

fn status(processes: &Processes) -> String {
    let line = |name: String| match processes.pid(&name) {
        Some(pid) => format!("{name} runs as process {pid}"),
        None => format!("{name} does not run"),
    };
    processes.names().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Asks a running demo, and prints what it answers.
///
/// # Errors
/// No demo runs there, or it refuses.
pub fn ask(dir: &Path, line: &str) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(dir.join(SOCKET))
        .with_context(|| format!("no demo runs in {}", dir.display()))?;
    stream.set_read_timeout(Some(EXCHANGE_MAX))?;
    writeln!(stream, "{line}")?;
    for answer in BufReader::new(stream).lines() {
        let answer = answer?;
        if let Some(error) = answer.strip_prefix("error: ") {
            bail!("{error}");
        }
        println!("{answer}");
    }
    Ok(())
}
