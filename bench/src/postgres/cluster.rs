//! One PostgreSQL cluster: found, made, started and ended by the bench, with the durability that it is shipped with.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// Where distributions put versions that stand beside each other.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whom its processes run as where the bench is root, which PostgreSQL refuses: the first who exists.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);
/// Connections beside those of the pairs.
const CONNECTIONS_MORE: usize = 10;
/// The one name in its socket's folder.
const PORT: u16 = 5432;

/// Why there is no PostgreSQL here.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL is not installed: initdb and postgres are neither in PATH nor below {VERSIONS}")]
pub(crate) struct Missing;

/// PostgreSQL as it is installed.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Finds them: in `PATH`, else the newest that the distribution has.
    ///
    /// # Errors
    /// [`Missing`].
    pub(crate) fn find() -> Result<Self, Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
        let mut versions: Vec<_> = versions
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
            .collect();
        versions.sort_unstable();
        folders.extend(versions.into_iter().rev().map(|(_, folder)| folder.join("bin")));
        let whole = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
        folders.into_iter().find(whole).map(|folder| Self { folder }).ok_or(Missing)
    }

    /// A program of it, run by somebody whom it accepts.
    fn command(&self, name: &str, user: Option<(u32, u32)>) -> Command {
        let mut command = Command::new(self.folder.join(name));
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).current_dir("/");
        command
    }
}

/// A running cluster, ended when dropped.
pub(crate) struct Cluster {
    name: String,
    process: Child,
    folder: TempDir,
    socket: TempDir,
}

/// What a cluster holds.
pub(crate) struct Books {
    /// On all accounts, in cents.
    pub money: i64,
    /// Transfers that have a row.
    pub transfers: i64,
    /// Decisions that have a row.
    pub decisions: i64,
    /// Prepared transactions that are neither committed nor rolled back.
    pub in_doubt: i64,
}

impl Cluster {
    /// Makes and starts one for so many connections. Its data lie in a new folder below `parent`; its socket, whose
    /// path has to be short, with the temporary files. It listens to nothing else.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(
        binaries: &Binaries,
        parent: &Path,
        name: &str,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let user = user()?;
        let folder = tempfile::Builder::new().prefix("strife-bench-postgres-").tempdir_in(parent)?;
        let socket = tempfile::Builder::new().prefix("strife-bench-").tempdir()?;
        for folder in [folder.path(), socket.path()] {
            if let Some((uid, gid)) = user {
                chown(folder, Some(uid), Some(gid))?;
            }
        }
        let data = folder.path().canonicalize()?.join("data");
        let made = binaries
            .command("initdb", user)
            .args(["--auth=trust", "--username=bench", "--no-locale", "--encoding=UTF8", "--pgdata"])
            .arg(&data)
            .output()?;
        if !made.status.success() {
            bail!("initdb in {}: {}", data.display(), String::from_utf8_lossy(&made.stderr).trim());
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let mut server = binaries.command("postgres", user);
        server.arg("-D").arg(&data).arg("-k").arg(socket.path()).args(["-p", &PORT.to_string()]);
        let settings = [
            "listen_addresses=".to_owned(),
            format!("max_connections={}", connections + CONNECTIONS_MORE),
            format!("max_prepared_transactions={connections}"),
        ];
        for setting in settings {
            server.args(["-c", &setting]);
        }
        let process = server.stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut cluster = Self { name: name.to_owned(), process, folder, socket };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Its socket is there once it can be connected to.
    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let (deadline, log) = (Instant::now() + START_MAX, self.folder.path().join("log"));
        let ready = "database system is ready to accept connections";
        while !fs::read_to_string(&log)?.contains(ready) {
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended ({status}): {}", self.name, fs::read_to_string(&log)?);
            }
            if Instant::now() > deadline {
                bail!("{} was not ready in time", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A connection, which lives as long as its client.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::new();
        config.host_path(self.socket.path()).port(PORT).user("bench").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.with_context(|| self.name.clone())?;
        // it ends with an error only after its client's calls did
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Accounts with money, transfers, decisions.
    ///
    /// # Errors
    /// What PostgreSQL says, or commits that it would not keep through a loss of power.
    pub(crate) async fn create_tables(&self, accounts: i32, money: i64) -> anyhow::Result<()> {
        let client = self.connect().await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let row = client.query_one("SELECT current_setting($1)", &[&setting]).await?;
            ensure!(row.get::<_, String>(0) == "on", "{} does not have {setting} = on", self.name);
        }
        let create = format!(
            "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
             CREATE TABLE transfers (id bigint PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL);
             CREATE TABLE decisions (id bigint PRIMARY KEY, posted boolean NOT NULL);
             INSERT INTO accounts SELECT id, {money} FROM generate_series(0, {accounts} - 1) AS id;
             VACUUM ANALYZE;"
        );
        for statement in create.split_inclusive(';') {
            client.batch_execute(statement).await?;
        }
        Ok(())
    }

    /// What it holds now.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(crate) async fn books(&self) -> anyhow::Result<Books> {
        let client = self.connect().await?;
        let count = "SELECT (SELECT sum(balance)::bigint FROM accounts), (SELECT count(*) FROM transfers),
                            (SELECT count(*) FROM decisions), (SELECT count(*) FROM pg_prepared_xacts)";
        let row = client.query_one(count, &[]).await?;
        Ok(Books { money: row.get(0), transfers: row.get(1), decisions: row.get(2), in_doubt: row.get(3) })
    }

    /// The process that started all others of it, by its name.
    pub(crate) fn process(&self) -> (String, u32) {
        (self.name.clone(), self.process.id())
    }

    /// Where its data are.
    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // at once: its folder goes with it
        let quit = |pid| rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if pid.map(quit).is_none_or(|sent| sent.is_err()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Whom its processes run as: `None` for whoever runs the bench.
fn user() -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let found = USERS.iter().find_map(|user| ids(&users, user));
    found.map(Some).context("PostgreSQL refuses root, and there is no user postgres or nobody")
}

/// A user's ids in the form of `/etc/passwd`.
fn ids(users: &str, user: &str) -> Option<(u32, u32)> {
    let mut fields = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let name = fields.next()?;
        (name == user).then_some(fields)
    })?;
    let mut id = || fields.next()?.parse().ok();
    // after the name comes the password's place
    let _: Option<u32> = id();
    Some((id()?, id()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_ids_are_the_third_and_fourth_field() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "nobody"), None);
    }
}
