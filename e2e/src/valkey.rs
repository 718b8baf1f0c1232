//! A real Valkey, or Redis where there is no Valkey yet, for suites.
//!
//! In: a password, and certificates if it is to speak TLS. Out: a server on a free port of 127.0.0.1, with an empty
//! directory of its own. It ends with the process that started it, however that ends.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::packages;

/// Cold, under load.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server.
#[derive(Debug)]
pub struct Valkey {
    child: Child,
    directory: TempDir,
    password: String,
    /// Where it listens.
    pub port: u16,
    tls: bool,
}

impl Valkey {
    /// Starts one. `certificates` is a directory with `cert.pem` and `key.pem`; with it only TLS is spoken.
    pub fn start(password: &str, certificates: Option<&Path>) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?.local_addr()?.port();
        Self::start_at(port, password, certificates)
    }

    /// The same at a port that is known to be free.
    pub fn start_at(port: u16, password: &str, certificates: Option<&Path>) -> Result<Self> {
        let program = packages::find("valkey-server").or_else(|| packages::find("redis-server"));
        let program = program.context("neither valkey-server nor redis-server is there: install redis-server")?;
        let directory = tempfile::tempdir().context("make a directory for the entries")?;
        let ports = match certificates {
            Some(files) => format!(
                "port 0\ntls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {0}\ntls-auth-clients no\n",
                files.join("cert.pem").display(),
                files.join("key.pem").display(),
            ),
            None => format!("port {port}\n"),
        };
        let settings = format!(
            "bind 127.0.0.1\nsave \"\"\nappendonly no\ndir {}\nrequirepass {password}\nloglevel warning\n{ports}",
            directory.path().display()
        );
        let file = directory.path().join("server.conf");
        std::fs::write(&file, settings).context("write its settings")?;
        // setpriv: whatever becomes of this process, the server ends with it.
        let setpriv = packages::find("setpriv").context("setpriv is not there: install util-linux")?;
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL"]).arg(&program).arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let mut valkey = Self { child, directory, password: password.to_owned(), port, tls: certificates.is_some() };
        valkey.wait()?;
        Ok(valkey)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server of {} ended at its start: {status}", self.directory.path().display());
            }
            if start.elapsed() > PATIENCE {
                bail!("nothing listens on 127.0.0.1:{} after {PATIENCE:?}", self.port);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// How clients reach it, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://:{}@localhost:{}/0", self.password, self.port)
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
