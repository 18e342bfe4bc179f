//! What the kernel counts of processes and of the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Of all its threads and of its children that have ended, in the kernel too.
    pub cpu_us: u64,
    /// Handed to the disk.
    pub bytes_written: u64,
}

impl Used {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        let bytes_written = self.bytes_written + other.bytes_written;
        Self { cpu_us: self.cpu_us + other.cpu_us, bytes_written }
    }

    /// What came after an earlier look.
    pub(crate) fn since(self, before: Self) -> Self {
        let bytes_written = self.bytes_written.saturating_sub(before.bytes_written);
        Self { cpu_us: self.cpu_us.saturating_sub(before.cpu_us), bytes_written }
    }
}

/// Microseconds of one tick of `/proc/<pid>/stat`: the kernel shows hundredths of a second (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// What a process has used.
///
/// # Errors
/// It has ended.
pub(crate) fn used(pid: u32) -> anyhow::Result<Used> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the name may hold anything; what follows it is numbers
    let (_, rest) = stat.rsplit_once(") ").context("a process without a name")?;
    let field = |index: usize| rest.split(' ').nth(index).and_then(|text| text.parse::<u64>().ok());
    // its own user and system time, then those of its children that have ended
    let ticks = (11..15).map(field).sum::<Option<u64>>().context("no times")?;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    let bytes_written = written.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Used { cpu_us: ticks * TICK_US, bytes_written })
}

/// What a process has used with all that it started: those that have ended stand in its own figures.
///
/// # Errors
/// It has ended.
pub(crate) fn used_with_children(pid: u32) -> anyhow::Result<Used> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    // one that ends at this very moment is counted the next time
    let children = children.split_whitespace().filter_map(|pid| used(pid.parse().ok()?).ok());
    Ok(children.fold(used(pid)?, Used::and))
}

/// A process's resident memory, in KiB.
///
/// # Errors
/// It has ended.
pub(crate) fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no memory")?;
    Ok(line.split_whitespace().next().context("no memory")?.parse()?)
}

/// How often the disk under a folder was told to put everything down for good (`flush`, the 16th field of the
/// block device's `stat`), since it was found; `None` where the kernel does not count that.
pub(crate) fn flushes(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let folder = format!("/sys/dev/block/{major}:{minor}");
    // a partition's flushes are counted at its disk
    let of_disk = Path::new(&folder).join("partition").exists();
    let stat = fs::read_to_string(format!("{folder}/{}stat", if of_disk { "../" } else { "" })).ok()?;
    stat.split_whitespace().nth(15)?.parse().ok()
}

/// The kind of filesystem that a folder is on.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn filesystem(dir: &Path) -> anyhow::Result<String> {
    let device = fs::metadata(dir)?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device.as_str()));
    let kind = line.and_then(|line| line.split_once(" - ")).and_then(|(_, rest)| rest.split(' ').next());
    kind.map(str::to_owned).context("the filesystem of the folder is not known")
}
