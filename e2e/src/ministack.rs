//! AWS without an account: MiniStack, and moto for what MiniStack lacks (Cost Explorer, X-Ray). Nobody here wrote them.
//!
//! In: where to listen, whether policies are enforced. Out: a running emulator, or the command that starts one. Both are
//! pinned by hash and installed once below the cache. They listen where they are told and nowhere else, start no
//! container, keep nothing, and end with the process that started them, however that ends.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::{process::Child, time::sleep};

use crate::{cache::Cache, install::repository, packages, python};

/// The account of every caller whose access key is not twelve digits.
pub const ACCOUNT: &str = "123456789012";
/// The region of whoever names none.
pub const REGION: &str = "us-west-2";

/// Cold, under load, with its modules not yet compiled.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MiniStack. With `enforce`, only what policies allow is done, and requests must be signed with real keys.
    MiniStack {
        /// `AUTH=true`.
        enforce: bool,
    },
    /// The server of moto.
    Moto,
}

impl Kind {
    const fn health(self) -> &'static str {
        match self {
            Self::MiniStack { .. } => "/_ministack/health",
            Self::Moto => "/moto-api/data.json",
        }
    }

    /// Its virtual environment, installed if it is not there.
    pub async fn environment(self, cache: &Cache) -> Result<PathBuf> {
        match self {
            Self::MiniStack { .. } => python::environment(cache, "ministack", "xtask/terraform/ministack.txt").await,
            Self::Moto => python::environment(cache, "moto", "e2e/emulators/moto.txt").await,
        }
    }
}

/// The command that runs an emulator at `address`. It has no working directory of its own yet: give it an empty one.
pub async fn command(cache: &Cache, kind: Kind, address: SocketAddr) -> Result<Command> {
    let environment = kind.environment(cache).await?;
    let mut command;
    match kind {
        Kind::MiniStack { enforce } => {
            command = Command::new(environment.join("bin/ministack"));
            command.env("BIND_HOST", address.ip().to_string()).env("GATEWAY_PORT", address.port().to_string());
            command.env("MINISTACK_ACCOUNT_ID", ACCOUNT).env("MINISTACK_REGION", REGION);
            command.env("AUTH", enforce.to_string());
        }
        Kind::Moto => {
            command = Command::new(environment.join("bin/moto_server"));
            command.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
            command.env("MOTO_ACCOUNT_ID", ACCOUNT);
        }
    }
    // Containers (of Lambda, RDS, ECS) would be real ones; here nothing may reach a daemon.
    command.env("DOCKER_HOST", "unix:///nonexistent").env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    for name in ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// A running emulator on a free port, of loopback unless it was told otherwise. Ends when dropped.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    python: PathBuf,
    log: PathBuf,
    _process: Child,
    _home: TempDir,
}

impl Emulator {
    /// Starts it on loopback and waits until it answers.
    pub async fn start(cache: &Cache, kind: Kind) -> Result<Self> {
        Self::start_at(cache, kind, Ipv4Addr::LOCALHOST).await
    }

    /// The same at another address of this machine, such as the one at which pods reach it.
    pub async fn start_at(cache: &Cache, kind: Kind, host: Ipv4Addr) -> Result<Self> {
        packages::ensure(cache, packages::NAMESPACES, crate::progress::Progress::start()).await?;
        let address = free_address(host)?;
        let home = tempfile::Builder::new().prefix("mcp-eks-emulator-").tempdir().context("make a directory")?;
        let log = home.path().join("log");
        let output = std::fs::File::create(&log).context("create the emulator's log")?;
        let plain = command(cache, kind, address).await?;
        let mut process = tokio::process::Command::from(ending_with_us(&plain))
            .current_dir(home.path())
            .env("TMPDIR", home.path())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", plain.get_program().display()))?;
        let url = format!("http://{address}");
        wait(&format!("{url}{}", kind.health()), &mut process, &log).await?;
        let python = kind.environment(cache).await?.join("bin/python");
        Ok(Self { url, python, log, _process: process, _home: home })
    }

    /// Where it answers: the value for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Python of its environment, which has botocore.
    #[must_use]
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Whether moto, from now on, does only what policies allow, and for signed requests alone.
    pub async fn enforce(&self, whether: bool) -> Result<()> {
        // So many requests go through unchecked.
        let free = if whether { "0" } else { "inf" };
        let answer = reqwest::Client::new().post(format!("{}/moto-api/reset-auth", self.url)).body(free).send().await?;
        ensure!(answer.status().is_success(), "moto does not say whether it enforces policies: {}", answer.status());
        Ok(())
    }

    /// Makes an EKS cluster of this name in it, through botocore: nothing of ours is on both sides.
    pub async fn make_cluster(&self, name: &str) -> Result<()> {
        let script = repository().join("e2e/emulators/cluster.py");
        let mut command = tokio::process::Command::new(&self.python);
        let made = command.arg(script).args([&self.url, name]).kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "cluster.py: {said}\nMiniStack says:\n{}", self.log());
        Ok(())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The same command under setpriv(1), so that the kernel ends it when the thread that started it is gone.
fn ending_with_us(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

fn free_address(host: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((host, 0)).context("find a free port")?;
    listener.local_addr().context("find a free port")
}

async fn wait(url: &str, process: &mut Child, log: &Path) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    loop {
        let asked = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if let Some(status) = process.try_wait()? {
            bail!("the emulator for {url} ended ({status}):\n{}", said());
        }
        if tokio::time::Instant::now() >= deadline {
            bail!("the emulator at {url} did not answer within {PATIENCE:?}:\n{}", said());
        }
        sleep(Duration::from_millis(100)).await;
    }
}
