//! The AWS behind the doubles: associations, and sessions of their roles. As EKS itself, which here is the account's root.
//!
//! In: a namespace and a ServiceAccount; a subject. Out: the association as it is now, read page by page; credentials of its
//! role, under its session policy or with its session tags.
//! Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html>, the tags.

use anyhow::{Context, Result};
use aws_credential_types::Credentials as Key;
use aws_sdk_eks::{
    operation::describe_pod_identity_association::DescribePodIdentityAssociationError as DescribeError,
    types::PodIdentityAssociation,
};
use aws_sdk_sts::types::{AssumedRoleUser, Credentials, Tag};

use super::token::Subject;
use crate::ministack::{ACCOUNT, REGION};

/// The key whose requests MiniStack takes for those of the account's root, which a trust in a service lets in.
const ROOT: &str = "test";
/// Most characters of a session's name.
const NAME: usize = 64;

/// Associations and roles of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Cloud {
    pub(super) cluster: String,
    endpoint: String,
    eks: aws_sdk_eks::Client,
    sts: aws_sdk_sts::Client,
}

/// What became of a role that was to be assumed.
pub(super) struct Session {
    pub(super) credentials: Credentials,
    pub(super) user: AssumedRoleUser,
}

impl Cloud {
    pub(super) fn new(endpoint: &str, cluster: &str) -> Self {
        let config = aws_sdk_eks::Config::builder()
            .behavior_version(aws_sdk_eks::config::BehaviorVersion::latest())
            .region(aws_sdk_eks::config::Region::new(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(Key::new(ROOT, ROOT, None, None, "eks"))
            .build();
        let sts = sts(endpoint, Key::new(ROOT, ROOT, None, None, "eks"));
        Self {
            cluster: cluster.to_owned(),
            endpoint: endpoint.to_owned(),
            eks: aws_sdk_eks::Client::from_conf(config),
            sts,
        }
    }

    /// The association of a ServiceAccount, if it has one now.
    pub(super) async fn association(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> Result<Option<PodIdentityAssociation>> {
        let request = self.eks.list_pod_identity_associations().cluster_name(&self.cluster);
        let mut found = request.namespace(namespace).service_account(service_account).into_paginator().items().send();
        while let Some(item) = found.next().await {
            let item = item.context("list associations")?;
            // One that does not filter lists those of others too.
            if (item.namespace(), item.service_account()) != (Some(namespace), Some(service_account)) {
                continue;
            }
            let request = self.eks.describe_pod_identity_association().cluster_name(&self.cluster);
            return match request.set_association_id(item.association_id).send().await {
                Ok(answer) => Ok(answer.association),
                Err(error) if error.as_service_error().is_some_and(DescribeError::is_resource_not_found_exception) => {
                    Ok(None)
                }
                Err(error) => Err(error).context("describe an association"),
            };
        }
        Ok(None)
    }

    /// Credentials of an association's role for a pod: of the target role by way of the first, if there is one.
    pub(super) async fn assume(&self, association: &PodIdentityAssociation, subject: &Subject) -> Result<Session> {
        let role = association.role_arn().context("the association names no role")?;
        let tagged = !association.disable_session_tags().unwrap_or_default();
        let tags = tagged.then(|| self.tags(subject));
        let name = session_name(&self.cluster, subject);
        let target = association.target_role_arn().filter(|target| !target.is_empty());
        let policy = association.policy().filter(|policy| !policy.is_empty()).map(str::to_owned);
        let first = self
            .sts
            .assume_role()
            .role_arn(role)
            .role_session_name(&name)
            .set_policy(policy.clone().filter(|_| target.is_none()))
            .set_transitive_tag_keys(tags.as_ref().map(|tags| tags.iter().map(|tag| tag.key.clone()).collect()))
            .set_tags(tags);
        let first = first.send().await.context("assume the role")?;
        let (credentials, user) = (first.credentials, first.assumed_role_user);
        let session = Session { credentials: credentials.context("no credentials")?, user: user.context("no user")? };
        let Some(target) = target else { return Ok(session) };
        let Credentials { access_key_id, secret_access_key, session_token, .. } = session.credentials;
        let key = Key::new(access_key_id, secret_access_key, Some(session_token), None, "association");
        let second = sts(&self.endpoint, key)
            .assume_role()
            .role_arn(target)
            .role_session_name(&name)
            .set_policy(policy)
            .set_external_id(association.external_id.clone());
        let second = second.send().await.context("assume the target role")?;
        Ok(Session {
            credentials: second.credentials.context("no credentials")?,
            user: second.assumed_role_user.context("no user")?,
        })
    }

    fn tags(&self, subject: &Subject) -> Vec<Tag> {
        let arn = format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{}", self.cluster);
        let tags = [
            ("eks-cluster-arn", arn.as_str()),
            ("eks-cluster-name", &self.cluster),
            ("kubernetes-namespace", &subject.namespace),
            ("kubernetes-service-account", &subject.service_account),
            ("kubernetes-pod-name", &subject.pod),
            ("kubernetes-pod-uid", &subject.pod_uid),
        ];
        tags.into_iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
    }
}

fn sts(endpoint: &str, key: Key) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_sdk_sts::config::Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(key);
    aws_sdk_sts::Client::from_conf(config.build())
}

/// `eks-CLUSTER-POD-UID`, as far as it fits; the end, which no other pod has, stays.
fn session_name(cluster: &str, subject: &Subject) -> String {
    let room = NAME.saturating_sub(subject.pod_uid.len() + 1);
    let name: String = format!("eks-{cluster}-{}", subject.pod).chars().take(room).collect();
    format!("{name}-{}", subject.pod_uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_called_after_its_pod() {
        let uid = "0b1c2d3e-0000-4000-8000-123456789abc";
        let subject = |pod: &str| Subject {
            namespace: "team".to_owned(),
            service_account: "aws".to_owned(),
            pod: pod.to_owned(),
            pod_uid: uid.to_owned(),
        };
        assert_eq!(session_name("prod", &subject("aws-1")), format!("eks-prod-aws-1-{uid}"));
        let long = session_name("prod", &subject(&"x".repeat(80)));
        assert!(long.len() == NAME && long.starts_with("eks-prod-xxx") && long.ends_with(uid), "{long}");
    }
}
