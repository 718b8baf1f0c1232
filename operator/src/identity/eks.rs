//! The associations of a cluster at EKS, by the official SDK.
//!
//! In: calls. Out: answers within a deadline, or a [`Failure`] by class. The SDK repeats what may be repeated, a few times;
//! every request is the same one the second time (one token, the same content), so nothing is done twice. All servers
//! together begin a few calls a second at most. Nothing secret gets into a message.

use std::{error::Error, num::NonZeroU32, time::Duration};

use aws_config::{AppName, BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_eks::{
    Client,
    types::{PodIdentityAssociation, PodIdentityAssociationSummary},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::FutureExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::timeout;

use super::{
    Association, Associations, Call, Change, Class, Failure, Grant, Key, New, Page, Summary, Tags, associations,
    plan::SETTLE,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for one answer.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Longest call, with its repetitions.
const CALL: Duration = Duration::from_secs(20);
/// How often a call is tried at most.
const ATTEMPTS: u32 = 3;
/// Longest wait for one's turn.
const TURN: Duration = Duration::from_secs(20);
/// Most characters of a message of AWS.
const MESSAGE: usize = 400;

/// Where EKS is, and which cluster this is.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// Name of this cluster in EKS; without it no server has an identity. Credentials come from where the AWS SDK finds
    /// them: in EKS, from the operator's own Pod Identity association.
    #[arg(long, env = "MCP_EKS_CLUSTER_NAME", value_name = "NAME", value_parser = cluster)]
    pub cluster_name: Option<String>,
    /// Region of the cluster; without it the one that the AWS SDK finds.
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    pub aws_region: Option<String>,
    /// Where EKS answers, instead of its public endpoint: a VPC endpoint, or an emulator.
    #[arg(long, env = "AWS_ENDPOINT_URL_EKS", value_name = "URL")]
    pub eks_endpoint: Option<String>,
    /// Seconds in which AWS comes to show to pods what was written: a pod that starts sooner may never get credentials.
    #[arg(long, env = "MCP_EKS_IDENTITY_SETTLE_SECONDS", value_name = "SECONDS", default_value_t = SETTLE.as_secs())]
    pub identity_settle_seconds: u64,
    /// Calls to EKS that are begun in a second at most; what the SDK repeats after a fault comes on top.
    #[arg(long, env = "MCP_EKS_EKS_REQUESTS_PER_SECOND", value_name = "NUMBER", default_value = "5")]
    pub eks_requests_per_second: NonZeroU32,
}

/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html#AmazonEKS-CreateCluster-request-name>.
fn cluster(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let fits = (1..=100).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("expected the name of an EKS cluster (letters, digits, - and _, at most 100), found {text:?}"))
}

/// EKS, as far as one cluster's associations go.
#[derive(Debug)]
pub struct Eks {
    client: Client,
    cluster: String,
    pace: DefaultDirectRateLimiter,
}

impl Eks {
    /// Gets ready to talk to EKS; sends nothing yet. Without `credentials` they come from where the SDK finds them.
    pub async fn new(cluster: &str, settings: &Settings, credentials: Option<SharedCredentialsProvider>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Ok(name) = AppName::new(format!("mcp-eks-operator-{}", env!("CARGO_PKG_VERSION"))) {
            loader = loader.app_name(name);
        }
        if let Some(region) = &settings.aws_region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(credentials) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        let shared = loader.load().await;
        let mut config = aws_sdk_eks::config::Builder::from(&shared);
        if let Some(endpoint) = &settings.eks_endpoint {
            config = config.endpoint_url(endpoint);
        }
        let quota = Quota::per_second(settings.eks_requests_per_second);
        Self {
            client: Client::from_conf(config.build()),
            cluster: cluster.to_owned(),
            pace: RateLimiter::direct(quota),
        }
    }

    /// One call in its turn.
    async fn call<T, E>(
        &self,
        call: Call,
        subject: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if timeout(TURN, self.pace.until_ready()).await.is_err() {
            let message =
                format!("others were first for {} s: --eks-requests-per-second says how many may go", TURN.as_secs());
            return Err(failure(call, subject, Class::Throttled, message));
        }
        request.await.map_err(|error| read(call, subject, &error))
    }

    /// The association in an answer.
    fn association(call: Call, subject: &str, answer: Option<&PodIdentityAssociation>) -> Result<Association, Failure> {
        let found = answer.and_then(association);
        found.ok_or_else(|| failure(call, subject, Class::Lost, "the answer holds no association".to_owned()))
    }
}

impl Associations for Eks {
    fn list(&self, only: Option<&Key>, page: Option<&str>) -> associations::Answer<'_, Page> {
        let subject = only.map_or_else(|| self.cluster.clone(), Key::to_string);
        let request = self
            .client
            .list_pod_identity_associations()
            .cluster_name(&self.cluster)
            .set_namespace(only.map(|key| key.namespace.clone()))
            .set_service_account(only.map(|key| key.service_account.clone()))
            .set_next_token(page.map(str::to_owned));
        async move {
            let answer = self.call(Call::List, &subject, request.send()).await?;
            let items = answer.associations().iter().filter_map(summary).collect();
            Ok(Page { items, next: answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned) })
        }
        .boxed()
    }

    fn describe(&self, id: &str) -> associations::Answer<'_, Association> {
        let subject = id.to_owned();
        let request =
            self.client.describe_pod_identity_association().cluster_name(&self.cluster).association_id(&subject);
        async move {
            let answer = self.call(Call::Describe, &subject, request.send()).await?;
            Self::association(Call::Describe, &subject, answer.association())
        }
        .boxed()
    }

    fn create(&self, new: &New) -> associations::Answer<'_, Association> {
        let subject = new.key.to_string();
        let grant = &new.grant;
        let request = self
            .client
            .create_pod_identity_association()
            .cluster_name(&self.cluster)
            .namespace(&new.key.namespace)
            .service_account(&new.key.service_account)
            .role_arn(&grant.role_arn)
            .set_target_role_arn(grant.target_role_arn.clone())
            .set_policy(grant.policy.clone())
            .disable_session_tags(grant.disable_session_tags)
            .set_tags(Some(new.tags.clone().into_iter().collect()))
            .client_request_token(&new.token);
        async move {
            let answer = self.call(Call::Create, &subject, request.send()).await?;
            Self::association(Call::Create, &subject, answer.association())
        }
        .boxed()
    }

    fn update(&self, id: &str, change: &Change) -> associations::Answer<'_, Association> {
        let subject = id.to_owned();
        let request = self
            .client
            .update_pod_identity_association()
            .cluster_name(&self.cluster)
            .association_id(&subject)
            .set_role_arn(change.role_arn.clone())
            .set_target_role_arn(change.target_role_arn.clone())
            .set_policy(change.policy.clone())
            .set_disable_session_tags(change.disable_session_tags);
        async move {
            let answer = self.call(Call::Update, &subject, request.send()).await?;
            Self::association(Call::Update, &subject, answer.association())
        }
        .boxed()
    }

    fn delete(&self, id: &str) -> associations::Answer<'_, ()> {
        let subject = id.to_owned();
        let request =
            self.client.delete_pod_identity_association().cluster_name(&self.cluster).association_id(&subject);
        async move { self.call(Call::Delete, &subject, request.send()).await.map(drop) }.boxed()
    }

    fn tag(&self, arn: &str, tags: &Tags) -> associations::Answer<'_, ()> {
        let subject = arn.to_owned();
        let request =
            self.client.tag_resource().resource_arn(&subject).set_tags(Some(tags.clone().into_iter().collect()));
        async move { self.call(Call::Tag, &subject, request.send()).await.map(drop) }.boxed()
    }
}

/// Text that is there and says something: AWS and its emulators write "" for nothing.
fn said(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn key(namespace: Option<&str>, service_account: Option<&str>) -> Option<Key> {
    Some(Key { namespace: said(namespace)?, service_account: said(service_account)? })
}

fn summary(found: &PodIdentityAssociationSummary) -> Option<Summary> {
    Some(Summary {
        id: said(found.association_id())?,
        key: key(found.namespace(), found.service_account())?,
        owner_arn: said(found.owner_arn()),
    })
}

fn association(found: &PodIdentityAssociation) -> Option<Association> {
    Some(Association {
        id: said(found.association_id())?,
        arn: said(found.association_arn())?,
        key: key(found.namespace(), found.service_account())?,
        grant: Grant {
            role_arn: said(found.role_arn())?,
            target_role_arn: said(found.target_role_arn()),
            policy: said(found.policy()),
            disable_session_tags: found.disable_session_tags().unwrap_or_default(),
        },
        tags: found.tags().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect(),
        owner_arn: said(found.owner_arn()),
        external_id: said(found.external_id()),
    })
}

fn failure(call: Call, subject: &str, class: Class, message: String) -> Failure {
    Failure { call, subject: subject.to_owned(), class, message }
}

/// Reads the SDK's error.
fn read<E>(call: Call, subject: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(service) = error.as_service_error() {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = service.code();
        let said = service.message().unwrap_or("no reason given");
        return failure(call, subject, Class::of(code, status), clip(&format!("{}: {said}", code.unwrap_or("?"))));
    }
    if causes(error).any(<dyn Error>::is::<CredentialsError>) {
        let message =
            "the operator has no credentials for AWS: in EKS, give its ServiceAccount a Pod Identity association";
        return failure(call, subject, Class::NoCredentials, message.to_owned());
    }
    let last = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let class = match error {
        SdkError::ConstructionFailure(_) => Class::Invalid,
        // What only looks may be asked again whatever became of it.
        _ if !call.is_write() => Class::Transient,
        _ => Class::Lost,
    };
    failure(call, subject, class, clip(&format!("no answer: {last}")))
}

/// An error and what caused it, down to the first cause.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Nobody reads more, and a condition holds no more.
fn clip(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::cluster;

    #[test]
    fn a_cluster_has_a_name_that_eks_takes() {
        for name in ["a", "prod-1", "Prod_2", &"a".repeat(100)] {
            assert_eq!(cluster(name).as_deref(), Ok(name));
        }
        for name in ["", "-a", "a b", "a/b", &"a".repeat(101)] {
            assert!(cluster(name).is_err_and(|error| error.contains("name of an EKS cluster")), "{name}");
        }
    }
}
