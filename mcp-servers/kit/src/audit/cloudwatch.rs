//! Records in CloudWatch Logs: a stream for each chain, made by its writer and written by nobody else.
//!
//! In: lines. Out: events of one log group, in the order of the chain. Needs `logs:CreateLogStream` and `logs:PutLogEvents` and
//! nothing more; the group has to be there. An answer that is lost leads to the same lines a second time, word for word, which
//! `verify-audit` knows from records that were put in.

use std::time::Duration;

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_cloudwatchlogs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::InputLogEvent,
};
use jiff::Timestamp;

use super::{
    keep::{ATTEMPT, Store},
    record::Line,
};

/// What one request may hold, in bytes: a little below AWS's limit of 1 MiB, which counts 26 bytes an event besides its text.
const REQUEST: usize = 1_000_000;
const EVENT: usize = 26;
/// The longest one request may take.
const WAIT: Duration = Duration::from_secs(3);

/// A stream of a log group.
pub(super) struct CloudWatch {
    group: String,
    client: Option<Client>,
    /// Whether the stream is known to be there.
    made: bool,
    /// The time of the last event, in milliseconds: each has its own, so that readers get them in the chain's order.
    last: i64,
    /// The sequence that is stored next, as far as is known.
    next: u64,
}

/// Why something cannot be stored, in words that hold no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("log group {0} is not there, or not in this region: make it, with the retention the audit needs")]
    Group(String),
    #[error("{action} on log group {group} is not allowed to this server's role")]
    Denied { action: &'static str, group: String },
    #[error("{action} on log group {group}: {said}")]
    Refused { action: &'static str, group: String, said: String },
    #[error("CloudWatch Logs takes no records of this time: set the clock of the node")]
    Clock,
    #[error("CloudWatch Logs did not answer within {} s", ATTEMPT.as_secs())]
    Slow,
}

impl CloudWatch {
    pub(super) const fn new(group: String) -> Self {
        Self { group, client: None, made: false, last: 0, next: 0 }
    }

    /// The client, by the credentials and the region of the process's environment.
    async fn client(&mut self) -> Client {
        if let Some(client) = &self.client {
            return client.clone();
        }
        let timeouts = TimeoutConfig::builder().connect_timeout(WAIT).operation_attempt_timeout(WAIT).build();
        // Whoever keeps lines tries again, and knows meanwhile that it fails.
        let loader = aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled());
        let client = Client::new(&loader.timeout_config(timeouts).load().await);
        self.client.insert(client).clone()
    }

    async fn make(&mut self, client: &Client, stream: &str) -> Result<(), Trouble> {
        let request = client.create_log_stream().log_group_name(&self.group).log_stream_name(stream);
        match request.send().await {
            // An earlier answer was lost: nobody else has the name.
            Err(error) if error.code() != Some("ResourceAlreadyExistsException") => {
                Err(self.trouble("logs:CreateLogStream", error))
            }
            _ => {
                self.made = true;
                Ok(())
            }
        }
    }

    async fn put(&mut self, client: &Client, stream: &str, lines: &[Line]) -> Result<(), Trouble> {
        let events = lines.iter().filter_map(|line| {
            self.last = Timestamp::now().as_millisecond().max(self.last + 1);
            InputLogEvent::builder().timestamp(self.last).message(&line.text).build().ok()
        });
        let events: Vec<InputLogEvent> = events.collect();
        let request = client.put_log_events().log_group_name(&self.group).log_stream_name(stream);
        match request.set_log_events(Some(events)).send().await {
            Ok(answer) if answer.rejected_log_events_info().is_none() => {
                self.next = lines.last().map_or(self.next, |line| line.sequence + 1);
                Ok(())
            }
            Ok(_) => Err(Trouble::Clock),
            Err(error) => Err(self.trouble("logs:PutLogEvents", error)),
        }
    }

    fn trouble<E>(&self, action: &'static str, error: SdkError<E>) -> Trouble
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let group = self.group.clone();
        match error.code() {
            Some("ResourceNotFoundException") => Trouble::Group(group),
            Some("AccessDeniedException") => Trouble::Denied { action, group },
            // The message may repeat what was signed.
            Some(code) => Trouble::Refused { action, group, said: code.to_owned() },
            None => Trouble::Refused { action, group, said: DisplayErrorContext(error).to_string() },
        }
    }
}

impl Store for CloudWatch {
    const NAME: &'static str = "CloudWatch Logs";
    type Trouble = Trouble;

    async fn attempt(&mut self, chain: &str, lines: &[Line], _: bool) -> Result<(), Trouble> {
        let client = self.client().await;
        let stream = stream(chain);
        if !self.made {
            self.make(&client, &stream).await?;
        }
        let known = lines.iter().take_while(|line| line.sequence < self.next).count();
        for lines in requests(lines.get(known..).unwrap_or_default()) {
            self.put(&client, &stream, lines).await?;
        }
        Ok(())
    }

    fn slow() -> Trouble {
        Trouble::Slow
    }
}

/// A chain's name as that of a stream, which has no colons or asterisks.
fn stream(chain: &str) -> String {
    chain.replace([':', '*'], "-")
}

/// Lines in as many requests as they need.
fn requests(mut lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = lines.iter().take_while(|line| {
            bytes += line.text.len() + EVENT;
            bytes <= REQUEST
        });
        // One that is too large alone goes alone, and is refused by name.
        let count = fitting.count().max(1).min(lines.len());
        let (now, later) = lines.split_at_checked(count)?;
        lines = later;
        (!now.is_empty()).then_some(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sequence: u64, bytes: usize) -> Line {
        Line { sequence, text: "x".repeat(bytes), hash: String::new() }
    }

    #[test]
    fn a_request_holds_what_aws_takes() {
        let lines: Vec<Line> = [400_000, 400_000, 400_000, 2_000_000, 10]
            .into_iter()
            .zip(0..)
            .map(|(bytes, at)| line(at, bytes))
            .collect();
        let each: Vec<Vec<u64>> =
            requests(&lines).map(|lines| lines.iter().map(|line| line.sequence).collect()).collect();
        assert_eq!(each, [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(requests(&[]).count(), 0);
    }

    #[test]
    fn a_stream_has_a_name_that_aws_takes() {
        assert_eq!(stream("pod:1*.0192.cloudwatch-logs"), "pod-1-.0192.cloudwatch-logs");
    }
}
