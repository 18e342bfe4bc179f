//! A disk of a few MiB, for what happens when it is full: a tmpfs in a mount namespace of its own, which is gone
//! with the process that holds it, however the test ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::outside::runs;

/// The disk.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    /// Where it is for a process that is started by [`SmallDisk::within`].
    pub dir: PathBuf,
    with_user: bool,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Makes one of so many MiB; `None` where this machine lets nobody mount, neither root nor in a user
    /// namespace.
    pub fn of_mib(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap();
        let mount = format!("mount -t tmpfs -o size={size}m tmpfs {}", dir.display());
        let with_user = runs(&["unshare", "-rm", "sh", "-c", &mount]);
        let flags = if with_user { "-rm" } else { "-m" };
        if !with_user && !runs(&["unshare", flags, "sh", "-c", &mount]) {
            return None;
        }
        // it lives as long as its standard input
        let mut holder = Command::new("unshare")
            .args([flags, "sh", "-c", &format!("{mount} && echo ready && exec cat")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Self { holder, dir, with_user, _folder: folder })
    }

    /// What a command is put behind to run where the disk is.
    pub fn within(&self) -> Vec<String> {
        let mut line = vec!["nsenter".to_owned(), format!("--target={}", self.holder.id()), "--mount".into()];
        if self.with_user {
            line.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        line
    }

    /// The disk's folder as this process sees it.
    pub fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.strip_prefix("/").unwrap())
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        // by ever smaller pieces, so that the last byte is taken
        for piece in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    /// Leaves so many bytes.
    pub fn fill_but(&self, bytes: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.filler()).unwrap();
        let len = filler.metadata().unwrap().len();
        filler.set_len(len.saturating_sub(bytes)).unwrap();
    }

    /// Takes away what [`SmallDisk::fill`] wrote.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.seen().join("filler")
    }

    /// Copies a folder's files onto it, under a name.
    pub fn take(&self, from: &Path, name: &str) {
        copy(from, &self.seen().join(name));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // the end of its input ends it, and with it the mount
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Copies the files of a folder, not the folders in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            // through the file's bytes: a copy of its mode is not wanted between filesystems
            let mut bytes = Vec::new();
            File::open(entry.path()).unwrap().read_to_end(&mut bytes).unwrap();
            fs::write(to.join(entry.file_name()), bytes).unwrap();
        }
    }
}
