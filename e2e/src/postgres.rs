//! A real PostgreSQL for suites, on a free port of loopback and, for pods, of one more address, with TLS by a certificate
//! of its own.
//!
//! In: Debian's `postgresql`, installed when missing. Out: a fresh cluster in a temporary directory, its superuser, and
//! addresses for whoever a suite makes. It runs as an unprivileged user (it refuses root), trusts nobody without a
//! password, makes no socket in the file system, and ends with this process, however that ends.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{
    cache::Cache,
    certificate::Certificate,
    packages::{self, POSTGRES},
    progress::Progress,
    suite::eventually,
};

/// The superuser's name and password. It listens on loopback alone, for as long as a suite runs.
const SUPERUSER: (&str, &str) = ("postgres", "superuser-of-a-suite");

/// First start and recovery, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// For suites nothing has to survive a power cut.
const SETTINGS: [&str; 9] = [
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=60",
    "autovacuum=off",
    "max_wal_senders=0",
    "wal_level=minimal",
    "ssl=on",
];

/// A running server; ends with this value.
pub struct Postgres {
    home: TempDir,
    address: Ipv4Addr,
    port: u16,
    account: Option<User>,
    running: Option<Running>,
}

/// The thread that started the server and outlives it: the kernel ends the server with the thread that started it, and
/// threads of a runtime come and go.
struct Running {
    stop: Sender<Signal>,
    thread: JoinHandle<()>,
}

impl Postgres {
    /// Makes a cluster and starts it. Returns when it takes connections.
    pub async fn start(cache: &Cache) -> Result<Self> {
        Self::start_for(cache, Ipv4Addr::LOCALHOST).await
    }

    /// The same for clients that reach this machine at `address`: with TLS, from private networks alone.
    pub async fn start_for(cache: &Cache, address: Ipv4Addr) -> Result<Self> {
        packages::ensure(cache, POSTGRES, Progress::start()).await?;
        let account = account()?;
        let mut home = tempfile::Builder::new();
        let home = home.prefix("mcp-eks-postgres-").permissions(Permissions::from_mode(0o755)).tempdir();
        let home = home.context("make a temporary directory")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { home, address, port, account, running: None };
        server.initialise()?;
        server.start_again().await?;
        Ok(server)
    }

    /// The address for this user, as a connection URI.
    #[must_use]
    pub fn uri(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@{}:{}/{database}", self.address, self.port)
    }

    /// The superuser's address.
    #[must_use]
    pub fn superuser_uri(&self, database: &str) -> String {
        format!("postgres://{}:{}@127.0.0.1:{}/{database}", SUPERUSER.0, SUPERUSER.1, self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate to trust, as a PEM file; the server's own is for its addresses and localhost.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.home.path().join("ca.pem")
    }

    /// Where its data lies.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A connection of the superuser.
    pub async fn superuser(&self, database: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.superuser_uri(database), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs statements as the superuser.
    pub async fn run(&self, database: &str, statements: &str) -> Result<()> {
        let client = self.superuser(database).await?;
        client.batch_execute(statements).await.with_context(|| format!("run {statements}"))
    }

    /// What the superuser reads with this statement, as text; NULL is empty.
    pub async fn rows(&self, database: &str, statement: &str) -> Result<Vec<Vec<String>>> {
        let messages = self.superuser(database).await?.simple_query(statement).await;
        let messages = messages.with_context(|| format!("run {statement}"))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Ends it in order, its clients cut off; the data stay.
    pub fn stop(&mut self) -> Result<()> {
        let running = self.running.take().context("PostgreSQL does not run")?;
        running.end(Signal::SIGINT)
    }

    /// Starts it again on the same port, with the same data. Returns when it takes connections.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "PostgreSQL runs already");
        let log = File::options().create(true).append(true).open(self.home.path().join("log"))?;
        let mut command = self.program("postgres", "QUIT")?;
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        command.arg("-c").arg(format!("listen_addresses=127.0.0.1,{}", self.address));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(Running::start(command));
        eventually("PostgreSQL takes connections", PATIENCE, async || {
            let exited = self.running.as_ref().is_none_or(|running| running.thread.is_finished());
            ensure!(!exited, "PostgreSQL has ended by itself");
            Ok(self.superuser("postgres").await.map(drop).map_err(|error| format!("{error:#}")))
        })
        .await
        .with_context(|| format!("its log: {}", self.log()))
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    fn initialise(&self) -> Result<()> {
        let home = self.home.path();
        let data = self.data();
        fs::create_dir(&data)?;
        fs::write(home.join("password"), SUPERUSER.1)?;
        self.own(&data)?;
        self.own(&home.join("password"))?;
        let mut initdb = self.program("initdb", "KILL")?;
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(home.join("password"));
        initdb.args(["-U", SUPERUSER.0, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        let output = initdb.stdin(Stdio::null()).output().context("start initdb")?;
        if !output.status.success() {
            bail!("initdb failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        let mut allowed = File::options().append(true).open(data.join("pg_hba.conf"))?;
        allowed.write_all(b"hostssl all all 10.0.0.0/8 scram-sha-256\n")?;
        self.certify()
    }

    /// A certificate authority, and the server's certificate by it.
    fn certify(&self) -> Result<()> {
        let names = ["127.0.0.1".to_owned(), self.address.to_string(), "localhost".to_owned()];
        let Certificate { ca, chain, key } = Certificate::make(&names)?;
        fs::write(self.ca(), ca)?;
        // The names and places that PostgreSQL looks for by itself.
        let data = self.data();
        for (name, content) in [("server.crt", chain), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            self.own(&path)?;
        }
        Ok(())
    }

    fn own(&self, path: &Path) -> Result<()> {
        let Some(account) = &self.account else { return Ok(()) };
        chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw()))
            .with_context(|| format!("give {} to {}", path.display(), account.name))
    }

    /// A program of PostgreSQL, as the unprivileged user; it gets the signal when who started it is gone.
    fn program(&self, name: &str, on_death: &str) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", on_death]);
        if let Some(account) = &self.account {
            command.args(["--reuid", &account.name, "--regid", &account.gid.to_string(), "--clear-groups"]);
        }
        command.arg("--").arg(packages::postgres_directory()?.join(name));
        // Not all of our own environment is that user's business.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The data go with it: it need not end in order.
        if let Some(running) = self.running.take() {
            let _ = running.end(Signal::SIGQUIT);
        }
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        let (stop, stopped): (Sender<Signal>, Receiver<Signal>) = channel();
        let thread = std::thread::spawn(move || {
            let Ok(mut child) = command.spawn() else { return };
            loop {
                if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return;
                }
                if let Ok(signal) = stopped.recv_timeout(Duration::from_millis(50)) {
                    let pid = i32::try_from(child.id()).unwrap_or(0);
                    let _ = kill(Pid::from_raw(pid), signal);
                    let _ = child.wait();
                    return;
                }
            }
        });
        Self { stop, thread }
    }

    fn end(self, signal: Signal) -> Result<()> {
        self.stop.send(signal).ok().context("PostgreSQL had ended by itself")?;
        self.thread.join().ok().context("the thread that watches PostgreSQL panicked")
    }
}

/// Who PostgreSQL runs as: the user of Debian's package when we are root, else ourselves.
fn account() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let account = User::from_name("postgres")?.context("there is no user `postgres`: install postgresql")?;
    Ok(Some(account))
}
