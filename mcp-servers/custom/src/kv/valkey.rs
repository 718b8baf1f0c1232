//! Entries in Valkey or Redis, shared by all pods. What happens is in `valkey.lua`, which the server runs as one step.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::FutureExt;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Script, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use super::{
    Answer, Store,
    entry::{Entry, Listed, Page, Place, Trouble, Write},
};

/// All keys begin with it; in braces it is a hash tag.
const PREFIX: &str = "{mcp-kv}";
/// How often the file with the URL is read again.
const RELOAD: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest file with a URL.
const LONGEST_URL: u64 = 4096;

/// The store.
pub(crate) struct Valkey {
    file: PathBuf,
    entries: usize,
    script: Script,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// When the last connection could not be opened.
    failed: Option<Instant>,
}

/// A connection to what the file said. Once it broke it is not used again: the next request opens another, and so tells
/// what is the case now.
struct Connection {
    url: String,
    opened: Instant,
    looked: Instant,
    line: MultiplexedConnection,
}

impl Connection {
    fn line(&self) -> (MultiplexedConnection, Instant) {
        (self.line.clone(), self.opened)
    }
}

impl Valkey {
    /// The store behind the URL in this file. Nothing is connected yet.
    pub(crate) fn new(file: PathBuf, entries: usize) -> Result<Self, String> {
        client(&read(&file)?)?;
        Ok(Self { file, entries, script: Script::new(include_str!("valkey.lua")), state: Mutex::default() })
    }

    /// The connection, and when it was opened; a new one when the file changed. A file that cannot be used changes
    /// nothing.
    async fn connection(&self) -> Result<(MultiplexedConnection, Instant), Trouble> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let State { connection, failed } = &mut *state;
        if let Some(known) = connection.as_mut() {
            if known.looked.elapsed() < RELOAD {
                return Ok(known.line());
            }
            known.looked = Instant::now();
            if read(&self.file).map_or(true, |url| url == known.url) {
                return Ok(known.line());
            }
        }
        // Who waited while another found it away does not wait for the same once more.
        if connection.is_none() && failed.is_some_and(|failed| failed >= asked) {
            return Err(Trouble::Away("cannot be reached"));
        }
        match self.open().await {
            Ok(opened) => Ok(connection.insert(opened).line()),
            Err(error) => {
                tracing::error!(error, "the key-value store cannot be opened");
                *failed = Some(Instant::now());
                connection.as_ref().map(Connection::line).ok_or(Trouble::Away("cannot be reached"))
            }
        }
    }

    async fn open(&self) -> Result<Connection, String> {
        let url = read(&self.file)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let line = client(&url)?.get_multiplexed_async_connection_with_config(&config).await;
        let line = line.map_err(|error| category(&error))?;
        Ok(Connection { url, opened: Instant::now(), looked: Instant::now(), line })
    }

    /// What a failed request says of the store. A connection that it broke on is given up.
    async fn failed(&self, error: &RedisError, opened: Instant) -> Trouble {
        tracing::error!(error = category(error), "the key-value store failed");
        if error.is_io_error() || error.is_unrecoverable_error() {
            self.state.lock().await.connection.take_if(|known| known.opened == opened);
        }
        Trouble::Away(if error.is_timeout() { "did not answer in time" } else { "failed" })
    }

    /// Runs the script; its first word says how it went, the rest is the answer.
    async fn run(&self, operation: &str, place: &Place, more: &[&str]) -> Result<Vec<String>, Trouble> {
        let (mut line, opened) = self.connection().await?;
        let mut call = self.script.key(PREFIX);
        call.arg(operation).arg(&place.namespace).arg(&place.key).arg(more);
        let answer: Vec<String> = match call.invoke_async(&mut line).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(&error, opened).await),
        };
        let mut words = answer.into_iter();
        match (words.next().as_deref(), words.as_slice()) {
            (Some("ok"), rest) => Ok(rest.to_vec()),
            (Some("conflict"), [version]) => Err(Trouble::Conflict(version.parse().unwrap_or_default())),
            (Some("nonumber"), _) => Err(Trouble::NoNumber),
            (Some("overflow"), _) => Err(Trouble::Overflow),
            _ => Ok(Vec::new()),
        }
    }
}

/// The URL in a file. No error repeats it: there is a password in it.
fn read(file: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    opened.take(LONGEST_URL).read_to_string(&mut text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn client(url: &str) -> Result<Client, String> {
    Client::open(url).map_err(|_| "not a URL of the form rediss://USER:PASSWORD@HOST:6379/0".to_owned())
}

/// What kind of error it is. The words of the server could repeat what was sent; those of socket and TLS do not.
fn category(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Io => error.to_string(),
        ErrorKind::AuthenticationFailed => "user or password are refused".to_owned(),
        _ => error.category().to_owned(),
    }
}

fn entry(words: Vec<String>) -> Option<Entry> {
    let [value, version, end]: [String; 3] = words.try_into().ok()?;
    Some(Entry { value, version: version.parse().ok()?, expires_at: end.parse().ok() })
}

fn text<T: ToString>(number: Option<T>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

const ODD: Trouble = Trouble::Away("gave an unexpected answer");

impl Store for Valkey {
    fn get(&self, place: Place) -> Answer<'_, Option<Entry>> {
        async move { Ok(entry(self.run("get", &place, &[]).await?)) }.boxed()
    }

    fn set(&self, place: Place, write: Write) -> Answer<'_, Entry> {
        async move {
            let (ttl, wanted, most) = (text(write.ttl_ms), text(write.if_version), self.entries.to_string());
            entry(self.run("set", &place, &[&write.value, &ttl, &wanted, &most]).await?).ok_or(ODD)
        }
        .boxed()
    }

    fn delete(&self, place: Place, if_version: Option<u64>) -> Answer<'_, bool> {
        async move { Ok(!self.run("delete", &place, &[&text(if_version)]).await?.is_empty()) }.boxed()
    }

    fn increment(&self, place: Place, by: i64, ttl_ms: Option<i64>) -> Answer<'_, Entry> {
        async move {
            let (by, ttl, most) = (by.to_string(), text(ttl_ms), self.entries.to_string());
            entry(self.run("increment", &place, &[&by, &ttl, &most]).await?).ok_or(ODD)
        }
        .boxed()
    }

    fn list(&self, namespace: String, prefix: String, after: Option<String>, limit: usize) -> Answer<'_, Page> {
        async move {
            let start = after.filter(|after| *after >= prefix);
            let start = start.map_or_else(|| format!("[{prefix}"), |after| format!("({after}"));
            let place = Place { namespace, key: prefix };
            let words = self.run("list", &place, &[&start, &(limit + 1).to_string()]).await?;
            let more = words.len() / 3 > limit;
            let keys = words.chunks_exact(3).take(limit).filter_map(|words| {
                let [key, version, end] = words else { return None };
                Some(Listed { key: key.clone(), version: version.parse().ok()?, expires_at: end.parse().ok() })
            });
            Ok(Page { keys: keys.collect(), more })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn callers_of_a_store_that_never_answers_wait_side_by_side() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("redis://{}/0", silent.local_addr().unwrap())).unwrap();
        let store = Valkey::new(file.path().to_owned(), 10).unwrap();
        let begun = Instant::now();
        let answers = join_all((0..4).map(|_| store.connection())).await;
        assert!(answers.iter().all(Result::is_err));
        let took = begun.elapsed();
        assert!(took < 2 * CONNECT_TIMEOUT, "{took:?}: one after another");
    }
}
