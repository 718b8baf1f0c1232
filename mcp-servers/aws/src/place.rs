//! Where a call works: region and account, with the configuration of the SDK for both, and the way every request goes.
//!
//! In: what a call names, the settings. Out: [`Place::ask`], the one way to AWS: it refuses actions that the table does not
//! name for the tool, stands behind the circuit breaker of (service, region), and turns the SDK's errors into sentences.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::{FutureExt, future::BoxFuture};
use mcp_aws_policy::ALWAYS_ALLOWED;
use mcp_kit::{Call, ToolError};
use tokio::sync::OnceCell;

use crate::{
    fault::{self, Fault},
    role::Role,
    settings::Settings,
    watch::watched,
};

/// What a call may name to go to all regions at once.
pub(crate) const ALL: &str = "all";

/// One attempt, and a request with its retries. A tool has 30 s.
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(22);
const ATTEMPTS: u32 = 3;
/// Before the second attempt, with jitter; doubled before the third. AWS's clients wait a second, people do not.
const WAIT: Duration = Duration::from_millis(250);

/// Arguments that name a place.
pub(crate) trait Named {
    fn region(&self) -> Option<&str>;
    fn account(&self) -> Option<&str>;
}

/// AWS as this server may use it.
#[derive(Debug)]
pub(crate) struct Aws {
    pub(crate) settings: Settings,
    base: OnceCell<SdkConfig>,
    /// Of each alias, made at the first call that names it; the SDK keeps what STS gave until shortly before its end.
    roles: BTreeMap<String, OnceCell<SharedCredentialsProvider>>,
}

/// One region of one account, for one call of one tool.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) aws: Arc<Aws>,
    pub(crate) region: String,
    pub(crate) call: Call,
    tool: &'static str,
    account: Option<String>,
    reads: SdkConfig,
}

impl Aws {
    pub(crate) fn new(settings: Settings) -> Self {
        let roles = settings.accounts.iter().map(|account| (account.alias.clone(), OnceCell::new())).collect();
        Self { settings, base: OnceCell::new(), roles }
    }

    /// The place that a call names.
    pub(crate) async fn place(
        self: &Arc<Self>,
        tool: &'static str,
        named: &impl Named,
        call: &Call,
    ) -> Result<Place, ToolError> {
        let base = self.base().await;
        let region = match named.region().map(str::to_owned).or_else(|| self.home(base)) {
            Some(region) if region == ALL => {
                let message = "region \"all\" is for lists of resources; name one region, for example us-west-2";
                return Err(ToolError::new(message));
            }
            Some(region) if is_region(&region) => region,
            Some(region) => {
                return Err(ToolError::new(format!("region: expected a name such as us-west-2, found {region:?}")));
            }
            None => {
                let message = "no region is known: name one (region), or start the server with --region or AWS_REGION";
                return Err(ToolError::new(message));
            }
        };
        let mut config = base.to_builder().region(Region::new(region.clone()));
        if let Some(alias) = named.account() {
            config = config.credentials_provider(self.role(alias, base).await?);
        }
        Ok(Place {
            aws: Arc::clone(self),
            region,
            call: call.clone(),
            tool,
            account: named.account().map(str::to_owned),
            reads: config.build(),
        })
    }

    /// The region of calls that name none.
    fn home(&self, base: &SdkConfig) -> Option<String> {
        let of_environment = || base.region().map(|region| region.as_ref().to_owned());
        self.settings.region.clone().or_else(of_environment)
    }

    async fn base(&self) -> &SdkConfig {
        let load = || async {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(REQUEST)
                .build();
            let mut loader = aws_config::defaults(BehaviorVersion::latest())
                .timeout_config(timeouts)
                .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS).with_initial_backoff(WAIT));
            if let Ok(name) = AppName::new(format!("mcp-eks-{}", env!("CARGO_PKG_VERSION"))) {
                loader = loader.app_name(name);
            }
            if let Some(region) = &self.settings.region {
                loader = loader.region(Region::new(region.clone()));
            }
            loader.load().await
        };
        self.base.get_or_init(load).await
    }

    async fn role(&self, alias: &str, base: &SdkConfig) -> Result<SharedCredentialsProvider, ToolError> {
        let found = self.settings.accounts.iter().find(|account| account.alias == alias);
        let (Some(account), Some(cell)) = (found, self.roles.get(alias)) else {
            let known: Vec<&str> = self.settings.accounts.iter().map(|account| account.alias.as_str()).collect();
            let expected = if known.is_empty() {
                "this server has no other accounts; leave it out".to_owned()
            } else {
                format!("expected one of {}", known.join(", "))
            };
            return Err(ToolError::new(format!("account: {expected}; found {alias:?}")));
        };
        let make = || async {
            let region = self.home(base).unwrap_or_else(|| "us-east-1".to_owned());
            SharedCredentialsProvider::new(Role::new(&account.role_arn, region, base))
        };
        Ok(cell.get_or_init(make).await.clone())
    }
}

impl Place {
    /// For requests that may be repeated.
    pub(crate) const fn reads(&self) -> &SdkConfig {
        &self.reads
    }

    /// For requests that change something: asked once.
    pub(crate) fn writes(&self) -> SdkConfig {
        self.reads.to_builder().retry_config(RetryConfig::disabled()).build()
    }

    /// The account named by the call.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The same account in another region.
    pub(crate) fn at(&self, region: &str) -> Self {
        let reads = self.reads.to_builder().region(Region::new(region.to_owned())).build();
        Self { region: region.to_owned(), reads, ..self.clone() }
    }

    /// Sends a request that is the IAM action `action`. Boxed: futures of the SDK are large.
    pub(crate) fn ask<'a, T, E>(
        &'a self,
        action: &'static str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, ToolError>>
    where
        T: Send + 'a,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.try_ask(action, request).map(move |answer| answer?.map_err(|fault| fault.told(self, action))).boxed()
    }

    /// The same, for callers who know what to do with a refusal. Failures of the upstream are errors in any case.
    pub(crate) fn try_ask<'a, T, E>(
        &'a self,
        action: &'static str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Result<T, Fault>, ToolError>>
    where
        T: Send + 'a,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.sent(action, request).boxed()
    }

    async fn sent<T, E>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<Result<T, Fault>, ToolError>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let declared =
            mcp_aws_policy::tool(self.tool).is_some_and(|tool| tool.needs.iter().any(|access| access.action == action));
        if !declared && !ALWAYS_ALLOWED.contains(&action) {
            let message = format!("{} is not declared for {}; this is a defect of the server", action, self.tool);
            return Err(ToolError::new(message));
        }
        self.call.check()?;
        let service = action.split_once(':').map_or(action, |(service, _)| service);
        let asked = async {
            let (result, seen) = watched(&self.region, request).await;
            // Waiting for AWS to take more may use up the time of the request.
            let result = result.map_err(|error| fault::of(&error).throttled(seen.throttled));
            for call in seen.ended(result.as_ref().err().map(Fault::word)) {
                self.call.record_aws(call);
            }
            match result {
                Ok(answer) => Ok(Ok(answer)),
                Err(fault) => {
                    if fault.is_upstream() {
                        Err(fault.told(self, action))
                    } else {
                        Ok(Err(fault))
                    }
                }
            }
        };
        self.call.upstream(&format!("{service} {}", self.region), asked).await
    }

    pub(crate) const fn tool(&self) -> &'static str {
        self.tool
    }
}

/// Whether this is shaped like a region. It becomes part of host names, so nothing else gets through.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= 32
        && !middle.is_empty()
        && first.len() == 2
        && word(first)
        && middle.iter().all(|part| word(part))
        && !last.is_empty()
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// A client of a service for a place, with everything watched. `$config` is a `&SdkConfig`.
macro_rules! client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($config).interceptor(crate::watch::Watch).build())
    };
}

pub(crate) use client;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_regions_are_regions() {
        for good in ["us-west-2", "ap-southeast-10", "us-gov-east-1", "cn-north-1", "us-iso-east-1"] {
            assert!(is_region(good), "{good}");
        }
        for wrong in [
            "",
            "us",
            "us-west",
            "us-west-",
            "us-west-2.evil.example",
            "us-west-2/",
            "us-west-2@evil",
            "US-west-2",
            "us--2",
            "all",
            "us-west-2 ",
            "us-west-2\n",
            "../us-west-2",
            "usa-west-2",
        ] {
            assert!(!is_region(wrong), "{wrong:?}");
        }
    }
}
