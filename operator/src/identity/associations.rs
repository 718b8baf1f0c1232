//! Pod Identity associations, and the six calls by which the operator sees and changes them.
//!
//! Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations_Amazon_Elastic_Kubernetes_Service.html>,
//! and the considerations in <https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html>.

use std::{collections::BTreeMap, fmt};

use futures::{FutureExt, future::BoxFuture};

use super::errors::{Call, Class, Failure};

/// Most associations of one page, by the API.
pub const PAGE: usize = 100;
/// Most characters of an association's policy, by the API.
pub const POLICY: usize = 2048;

/// Tags of a resource in AWS.
pub type Tags = BTreeMap<String, String>;

/// What a call answers, in the end.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Whom an association is for. A cluster has at most one association of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace of the pods.
    pub namespace: String,
    /// Their ServiceAccount.
    pub service_account: String,
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.service_account)
    }
}

/// What an association gives: all of it can change in place, but that a policy cannot be taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// ARN of the role.
    pub role_arn: String,
    /// ARN of a second role, which is assumed by way of the first.
    pub target_role_arn: Option<String>,
    /// Session policy, as JSON.
    pub policy: Option<String>,
    /// Whether sessions go without the tags that name cluster, namespace and pod. A policy needs it so.
    pub disable_session_tags: bool,
}

/// An association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// Its id, `a-…`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Whom it is for.
    pub key: Key,
    /// What it gives.
    pub grant: Grant,
    /// Its tags.
    pub tags: Tags,
    /// ARN of the EKS add-on that owns it, if one does.
    pub owner_arn: Option<String>,
    /// What the trust policy of the target role has to name, if there is a target role.
    pub external_id: Option<String>,
}

/// An association as a list shows it: neither what it gives, nor its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Whom it is for.
    pub key: Key,
    /// ARN of the EKS add-on that owns it, if one does.
    pub owner_arn: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Associations.
    pub items: Vec<Summary>,
    /// Where the list goes on, if it does.
    pub next: Option<String>,
}

/// An association to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// Whom it is for.
    pub key: Key,
    /// What it gives.
    pub grant: Grant,
    /// Its tags.
    pub tags: Tags,
    /// The request's token: the same token with the same request makes nothing new.
    pub token: String,
}

/// What is to change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The role.
    pub role_arn: Option<String>,
    /// The target role; an empty string takes it off.
    pub target_role_arn: Option<String>,
    /// The session policy.
    pub policy: Option<String>,
    /// Whether sessions go without tags.
    pub disable_session_tags: Option<bool>,
}

/// The associations of one cluster.
///
/// # Guarantees
/// A call of one request returns within a deadline. A write that was refused was not done; one whose answer is
/// [`Class::Lost`](super::Class::Lost), or that failed in AWS or on the way, may have been.
///
/// # Caveats
/// AWS is consistent in the end only: lists and descriptions may show for some seconds what was before a write, and a pod
/// that is admitted meanwhile gets no credentials, or the old ones.
pub trait Associations: Send + Sync {
    /// One page of the associations, of `only` this key or of all. At most [`PAGE`], in no order.
    ///
    /// Fails with `NotFound` if there is no such cluster.
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_ListPodIdentityAssociations.html>.
    fn list(&self, only: Option<&Key>, page: Option<&str>) -> Answer<'_, Page>;

    /// All there is to know of an association. Fails with `NotFound` if there is none of this id.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribePodIdentityAssociation.html>.
    fn describe(&self, id: &str) -> Answer<'_, Association>;

    /// Makes an association and returns it, not necessarily visible yet.
    ///
    /// Fails with `InUse` if its key has one, even one that was deleted a moment ago; `Limit` if the cluster has as many as
    /// it may; `Invalid` if the role is not there or does not trust `pods.eks.amazonaws.com`; `Denied` if the caller may not
    /// pass the role; `NotFound` if there is no such cluster.
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html>.
    fn create(&self, new: &New) -> Answer<'_, Association>;

    /// Changes an association and returns it as it is now. Something has to change. Fails as `create` does, but for `InUse`
    /// and `Limit`; `NotFound` if there is none of this id.
    ///
    /// The request's token is a new one each time: the same content twice does no harm, while an answer to an earlier
    /// request would, where a change was taken back in between.
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdatePodIdentityAssociation.html>.
    fn update(&self, id: &str, change: &Change) -> Answer<'_, Association>;

    /// Deletes an association. Fails with `NotFound` if there is none of this id.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_DeletePodIdentityAssociation.html>.
    fn delete(&self, id: &str) -> Answer<'_, ()>;

    /// Sets tags and leaves the others. Fails with `NotFound` if there is nothing of this ARN.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_TagResource.html>.
    fn tag(&self, arn: &str, tags: &Tags) -> Answer<'_, ()>;

    /// Everything listed of a key. What comes from a cache may be minutes old: good enough to decide that nothing has
    /// changed, and to make what is not there, since AWS refuses a second one; not good enough to take it for gone.
    fn known(&self, key: &Key) -> Answer<'_, Vec<Summary>> {
        let key = key.clone();
        async move { of_key(self, &key).await }.boxed()
    }

    /// Everything listed of the cluster, which may be minutes old, likewise.
    fn all(&self) -> Answer<'_, Vec<Summary>> {
        of_cluster(self).boxed()
    }

    /// A description that may be minutes old, likewise.
    fn described(&self, id: &str) -> Answer<'_, Association> {
        self.describe(id)
    }
}

/// Pages of one key that are read at most: a key has one association, though pages before it may be empty.
const PAGES: usize = 16;
/// Pages of a cluster that are read at most: ten times what its quota takes.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html>, 5,000 associations.
const CLUSTER_PAGES: usize = 500;

/// Everything that AWS lists of a key now.
pub async fn of_key<A: Associations + ?Sized>(aws: &A, key: &Key) -> Result<Vec<Summary>, Failure> {
    let mut found = pages(aws, Some(key), PAGES).await?;
    found.retain(|item| item.key == *key);
    Ok(found)
}

/// Everything that AWS lists of the cluster now.
pub async fn of_cluster<A: Associations + ?Sized>(aws: &A) -> Result<Vec<Summary>, Failure> {
    pages(aws, None, CLUSTER_PAGES).await
}

async fn pages<A: Associations + ?Sized>(aws: &A, only: Option<&Key>, most: usize) -> Result<Vec<Summary>, Failure> {
    let (mut found, mut page) = (Vec::new(), None);
    for _ in 0..most {
        let part = aws.list(only, page.as_deref()).await?;
        found.extend(part.items);
        page = part.next;
        if page.is_none() {
            return Ok(found);
        }
    }
    let subject = only.map_or_else(|| "the cluster".to_owned(), Key::to_string);
    let message = format!("the list goes on after {most} pages");
    Err(Failure { call: Call::List, subject, class: Class::Transient, message })
}
