//! What a bank's process asked of the system, in order, as strace wrote it down: whether the journal's sync had
//! returned before the first byte of an answer left.

use std::collections::BTreeMap;
use std::path::Path;

/// An answer that says how something ended is longer than this: it carries a signature of 64 bytes and a hash of
/// 32, with its key and names, in TLS. What HTTP/2 sends by itself (pings, their answers, windows) is shorter.
const ANSWER_BYTES_MIN: i64 = 200;

/// The system calls that the checks below read.
pub const CALLS: &str = "pwrite64,pwritev,write,writev,sendto,sendmsg,fdatasync,fsync";

/// One finished system call. Beginning and end are places in the trace: strace sees all threads in one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it began.
    pub began: usize,
    /// Where it returned.
    pub ended: usize,
    /// When it began, microseconds since the Unix epoch.
    pub at_us: i64,
    /// Its name.
    pub name: String,
    /// What its file descriptor is.
    pub file: String,
    /// What it returned.
    pub returned: i64,
}

impl Call {
    fn writes(&self, file: &str) -> bool {
        matches!(self.name.as_str(), "pwrite64" | "pwritev" | "write" | "writev") && self.file == file
    }

    fn syncs(&self, file: &str) -> bool {
        matches!(self.name.as_str(), "fdatasync" | "fsync") && self.file == file
    }

    fn answers(&self, door: &str) -> bool {
        self.file.contains(&format!("[{door}->")) && self.returned >= ANSWER_BYTES_MIN
    }
}

/// Reads what `strace -f -ttt -yy` wrote. Calls that did not return are not in it.
pub fn read(text: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, (usize, i64, String, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((at, what)) = rest.trim_start().split_once(' ') else { continue };
        let (began, at_us, name, file) = if what.starts_with("<... ") {
            let Some(known) = begun.remove(thread) else { continue };
            known
        } else {
            let Some((name, arguments)) = what.split_once('(') else { continue };
            (place, microseconds(at), name.to_owned(), file_of(arguments).to_owned())
        };
        if what.ends_with("<unfinished ...>") {
            begun.insert(thread, (began, at_us, name, file));
        } else if let Some(returned) = returned(what) {
            calls.push(Call { began, ended: place, at_us, name, file, returned });
        }
    }
    calls.sort_by_key(|call| call.began);
    calls
}

/// `1700000000.123456` in microseconds.
fn microseconds(at: &str) -> i64 {
    let (seconds, fraction) = at.split_once('.').unwrap_or((at, "0"));
    seconds.parse::<i64>().unwrap_or(0) * 1_000_000 + fraction.parse::<i64>().unwrap_or(0)
}

/// What `7</path>, …` or `7<TCP:[…->…]>, …` names. A socket's name has an arrow in it.
fn file_of(arguments: &str) -> &str {
    let Some((_, named)) = arguments.split_once('<') else { return "" };
    let end = if named.starts_with("TCP") { named.find("]>").map(|at| at + 1) } else { named.find('>') };
    end.map_or("", |end| &named[..end])
}

fn returned(what: &str) -> Option<i64> {
    let (_, result) = what.rsplit_once(" = ")?;
    result.split_whitespace().next()?.parse().ok()
}

/// What a trace shows of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Writes of the journal for it.
    pub journal_writes: usize,
    /// Where its sync returned.
    pub synced: usize,
    /// Where the first byte of the answer left.
    pub answered: usize,
    /// Bytes of the answer's first write.
    pub answer_bytes: i64,
}

/// Checks the first answer from `door` within a time, microseconds since the Unix epoch, in which one order alone
/// was on its way: the journal in `data_dir` was written, its sync returned, and only then a byte left.
///
/// # Errors
/// What stands in the trace instead.
pub fn synced_before_answering(
    calls: &[Call],
    door: &str,
    data_dir: &Path,
    (from_us, until_us): (i64, i64),
) -> Result<Shown, String> {
    let journal = data_dir.join("journal.db-wal").display().to_string();
    let within: Vec<&Call> = calls.iter().filter(|call| (from_us..=until_us).contains(&call.at_us)).collect();
    let answer = within.iter().find(|call| call.answers(door)).ok_or("no answer left")?;
    let before: Vec<&&Call> = within.iter().filter(|call| call.began < answer.began).collect();
    let early = |what: &str| format!("an answer of {} bytes left before {what}", answer.returned);
    let writes: Vec<&&&Call> = before.iter().filter(|call| call.writes(&journal)).collect();
    // a log that begins anew has its header synced first: what counts is the sync after the last write
    let last = writes.last().ok_or_else(|| early("the journal was written"))?;
    let synced = before
        .iter()
        .find(|call| call.began > last.ended && call.syncs(&journal) && call.returned == 0)
        .filter(|sync| sync.ended < answer.began)
        .ok_or_else(|| early("the sync of the journal had returned"))?;
    Ok(Shown {
        journal_writes: writes.len(),
        synced: synced.ended,
        answered: answer.began,
        answer_bytes: answer.returned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: &str = "127.0.0.1:7001";

    fn check(text: &str) -> Result<Shown, String> {
        synced_before_answering(&read(text), DOOR, Path::new("/d"), (1_000_000, 2_000_000))
    }

    const WRITE: &str = "7 1.000100 pwrite64(9</d/journal.db-wal>, \"\"..., 4096, 32) = 4096\n";
    const BEGINS: &str = "7 1.000200 fdatasync(9</d/journal.db-wal> <unfinished ...>\n";
    const RETURNS: &str = "7 1.000400 <... fdatasync resumed>) = 0\n";
    const PING: &str = "6 1.000300 sendto(8<TCP:[127.0.0.1:7001->127.0.0.1:5000]>, \"\"..., 39, 0) = 39\n";
    const ANSWER: &str =
        "6 1.000500 sendto(8<TCP:[127.0.0.1:7001->127.0.0.1:5000]>, \"\"..., 350, 0) = 350\n";
    const OPERATOR: &str =
        "6 1.000300 sendto(5<TCP:[127.0.0.1:7101->127.0.0.1:5001]>, \"\"..., 900, 0) = 900\n";

    #[test]
    fn an_answer_after_the_sync_is_told_from_one_before_it() {
        let good = check(&[WRITE, BEGINS, PING, OPERATOR, RETURNS, ANSWER].concat()).unwrap();
        assert_eq!((good.journal_writes, good.answer_bytes), (1, 350));
        let amid = check(&[WRITE, BEGINS, ANSWER, RETURNS].concat()).unwrap_err();
        assert_eq!(amid, "an answer of 350 bytes left before the sync of the journal had returned");
        let first = check(&[ANSWER, WRITE, BEGINS, RETURNS].concat()).unwrap_err();
        assert_eq!(first, "an answer of 350 bytes left before the journal was written");
        assert!(
            check(&[WRITE, BEGINS, RETURNS, WRITE, ANSWER].concat()).is_err(),
            "a later write is not synced"
        );
        let failed = RETURNS.replace("= 0", "= -1 EIO (Input/output error)");
        assert!(check(&[WRITE, BEGINS, &failed, ANSWER].concat()).is_err(), "a sync that failed is none");
        assert!(check(&[WRITE, ANSWER].concat()).is_err(), "no sync");
        assert!(check(&[WRITE, BEGINS, RETURNS, PING].concat()).is_err(), "no answer");
    }
}
