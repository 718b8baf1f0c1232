//! Reads the API server's audit log, the witness that proofs go by ("no writes at rest", "who scaled what").
//!
//! In: the log file of a cluster. Out: typed events, oldest first. It never writes. What is logged is decided by
//! [`POLICY`]: one event per finished request, without bodies except for Deployments and scale subresources, and
//! nothing for health checks. The API server writes an event before it answers, so a caller that has seen an
//! answer finds its event here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The audit policy every local cluster starts with.
pub const POLICY: &str = include_str!("../manifests/audit-policy.yaml");

/// One finished request.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When the request arrived.
    pub received: Timestamp,
    /// When the answer was complete.
    pub at: Timestamp,
    /// Who asked, such as `system:serviceaccount:mcp-eks-system:mcp-eks-operator`.
    pub user: String,
    /// The program that asked.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Path and query as they were asked for.
    pub uri: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural resource, empty for URLs that are none.
    pub resource: String,
    /// Such as `status` or `scale`; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-wide objects and lists over all namespaces.
    pub namespace: String,
    /// Empty for lists, and for creations (the name is in the body).
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// The request's body, for Deployments and scale subresources.
    pub request_object: Option<Value>,
    /// True for requests with `dryRun`, which change nothing.
    pub dry_run: bool,
}

impl Event {
    /// True when the request asked for a change, whether it was granted or not; a dry run asks for none.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !self.dry_run && matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// True for leases and for token and access reviews, which "zero writes at rest" leaves out.
    #[must_use]
    pub fn is_housekeeping(&self) -> bool {
        matches!(self.group.as_str(), "coordination.k8s.io" | "authentication.k8s.io" | "authorization.k8s.io")
            || self.subresource == "token"
    }
}

/// A moment in a log. An event is written when its request is done, so what was under way is found behind the mark's
/// place in the file: such requests arrived earlier, and do not count.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    offset: u64,
    received: Timestamp,
}

impl Mark {
    /// Before everything.
    pub const START: Self = Self { offset: 0, received: Timestamp::MIN };
}

/// An audit log on disk.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log at `path`; it need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This moment: hand it to [`Log::since`] later.
    pub fn mark(&self) -> Result<Mark> {
        let received = Timestamp::now();
        let offset = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(|| format!("look at the audit log {}", self.path.display())),
        };
        Ok(Mark { offset, received })
    }

    /// Requests that arrived at a mark or later. A line still being written is left for next time.
    pub fn since(&self, mark: Mark) -> Result<Vec<Event>> {
        let what = || format!("read the audit log {}", self.path.display());
        let mut file = File::open(&self.path).with_context(what)?;
        file.seek(SeekFrom::Start(mark.offset)).with_context(what)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(what)?;
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = bytes.get(..complete).unwrap_or_default();
        let mut events = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            events.push(parse(line).with_context(what)?);
        }
        events.retain(|event| event.received >= mark.received);
        Ok(events)
    }

    /// Events completed at `from` or later.
    pub fn after(&self, from: Timestamp) -> Result<Vec<Event>> {
        let mut events = self.since(Mark::START)?;
        events.retain(|event| event.at >= from);
        Ok(events)
    }
}

fn parse(line: &[u8]) -> Result<Event> {
    let raw: Raw = serde_json::from_slice(line)
        .with_context(|| format!("not an audit event: {}", String::from_utf8_lossy(line)))?;
    let object = raw.object_ref.unwrap_or_default();
    Ok(Event {
        received: raw.request_received_timestamp,
        at: raw.stage_timestamp,
        user: raw.user.username,
        user_agent: raw.user_agent,
        verb: raw.verb,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: raw.response_status.map_or(0, |status| status.code),
        request_object: raw.request_object,
        dry_run: raw.request_uri.contains("dryRun=All"),
        uri: raw.request_uri,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
    verb: String,
    #[serde(rename = "requestURI", default)]
    request_uri: String,
    user: RawUser,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<RawObject>,
    response_status: Option<RawStatus>,
    request_object: Option<Value>,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawObject {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct RawStatus {
    #[serde(default)]
    code: u16,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SCALE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","stage":"ResponseComplete",
        "requestURI":"/apis/apps/v1/namespaces/a/deployments/web/scale","verb":"patch","user":{"username":"admin"},
        "userAgent":"kubectl/v1.36.3","objectRef":{"resource":"deployments","namespace":"a","name":"web","apiGroup":"apps",
        "apiVersion":"v1","subresource":"scale"},"responseStatus":{"metadata":{},"code":200},
        "requestObject":{"spec":{"replicas":3}},"requestReceivedTimestamp":"2026-11-21T09:00:00.120000Z",
        "stageTimestamp":"2026-11-21T09:00:00.123456Z"}"#;
    const LEASE: &str = r#"{"verb":"update","requestURI":"/apis/coordination.k8s.io/v1/namespaces/k/leases/x","user":{"username":"op"},
        "objectRef":{"resource":"leases","apiGroup":"coordination.k8s.io"},"responseStatus":{"code":409},
        "requestReceivedTimestamp":"2026-11-21T09:00:59Z","stageTimestamp":"2026-11-21T09:01:00Z"}"#;

    fn one_line(text: &str) -> String {
        text.lines().map(str::trim).collect::<String>() + "\n"
    }

    #[test]
    fn requests_count_from_the_moment_they_arrived_and_half_lines_wait() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let log = Log::new(file.path());
        file.write_all(one_line(SCALE).as_bytes()).unwrap();
        let events = log.since(Mark::START).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].resource.as_str(), events[0].subresource.as_str()), ("deployments", "scale"));
        assert_eq!(events[0].request_object.as_ref().unwrap()["spec"]["replicas"], 3);
        assert!(events[0].is_write() && !events[0].is_housekeeping());

        let mark = |received: &str| Mark { received: received.parse().unwrap(), ..log.mark().unwrap() };
        let (under_way, before) = (mark("2026-11-21T09:00:59.5Z"), mark("2026-11-21T09:00:59Z"));
        let lease = one_line(LEASE);
        let (first, second) = lease.split_at(20);
        file.write_all(first.as_bytes()).unwrap();
        assert_eq!(log.since(before).unwrap(), []);
        file.write_all(second.as_bytes()).unwrap();
        let events = log.since(before).unwrap();
        assert_eq!((events.len(), events[0].code), (1, 409));
        assert!(events[0].is_housekeeping());
        assert_eq!(log.since(under_way).unwrap(), [], "asked before the mark, done after it");
        assert_eq!(log.after("2026-11-21T09:00:30Z".parse().unwrap()).unwrap().len(), 1);
    }

    #[test]
    fn a_dry_run_is_no_write() {
        let text = one_line(SCALE).replace("/scale\"", "/scale?dryRun=All\"");
        assert!(!parse(text.trim().as_bytes()).unwrap().is_write());
    }

    #[test]
    fn the_policy_is_valid_yaml_with_one_stage() {
        let policy: Value = serde_yaml::from_str(POLICY).unwrap();
        assert_eq!(policy["kind"], "Policy");
        assert_eq!(policy["omitStages"], serde_json::json!(["RequestReceived", "ResponseStarted"]));
    }
}
