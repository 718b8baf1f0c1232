//! Associations of ours whose McpServer is gone without them: somebody took its finalizer off, or its namespace was forced.
//!
//! In: what the cluster's associations are, and which servers there are. Out: a few deletions a round, each of an
//! association that two rounds in a row found to be an orphan and that AWS still shows so. What names another cluster, was
//! to stay, or has no uid is never touched, nor what stands in another namespace than the one that is watched.

use std::collections::BTreeSet;

use super::{
    Association, Associations, Class, Failure, Key, Summary,
    associations::of_key,
    owner::{CLUSTER, NAME, NAMESPACE, UID, is_retained},
};

/// Associations that one round describes at most.
pub const LOOKS: usize = 50;
/// Associations that one round deletes at most.
pub const DELETIONS: usize = 10;

/// Which servers there are, and how far the operator looks.
pub trait Servers: Sync {
    /// Whether there is a server of this key, on its way out or not.
    fn exists(&self, key: &Key) -> bool;
    /// Whether the operator looks at this namespace.
    fn watches(&self, namespace: &str) -> bool;
    /// Whether the operator may still write.
    fn leads(&self) -> bool;
}

/// What the rounds before have found; nothing after a restart, so that the first round deletes nothing.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Ids of associations that are not ours.
    others: BTreeSet<String>,
    /// Ids of those that seem to be orphans.
    suspected: BTreeSet<String>,
}

/// Whether an association says that it is one of this cluster's operator, for a server that has its key, and is to go with
/// it. Whether there is such a server is another question.
#[must_use]
pub fn is_ours(found: &Association, cluster: &str) -> bool {
    let tag = |key: &str| found.tags.get(key).map(String::as_str);
    found.owner_arn.is_none()
        && tag(CLUSTER) == Some(cluster)
        && tag(NAMESPACE) == Some(found.key.namespace.as_str())
        && tag(NAME) == Some(found.key.service_account.as_str())
        && tag(UID).is_some_and(|uid| !uid.is_empty())
        && !is_retained(found)
}

impl Sweep {
    /// One round. Returns what it deleted.
    pub async fn round(
        &mut self,
        aws: &dyn Associations,
        cluster: &str,
        servers: &dyn Servers,
    ) -> Result<Vec<Association>, Failure> {
        let mut listed = aws.all().await?;
        listed.retain(|item| is_free(item, servers));
        let ids: BTreeSet<_> = listed.iter().map(|item| item.id.as_str()).collect();
        // Whoever has a server again is looked at anew when that is gone.
        self.others.retain(|id| ids.contains(id.as_str()));
        self.suspected.retain(|id| ids.contains(id.as_str()));
        let deleted = self.delete(aws, cluster, servers, &listed).await?;
        self.look(aws, cluster, &listed, &deleted).await?;
        Ok(deleted)
    }

    /// Deletes what was suspected before, if AWS itself says so.
    async fn delete(
        &mut self,
        aws: &dyn Associations,
        cluster: &str,
        servers: &dyn Servers,
        listed: &[Summary],
    ) -> Result<Vec<Association>, Failure> {
        let mut deleted = Vec::new();
        for item in listed.iter().filter(|item| self.suspected.contains(&item.id)).take(DELETIONS).collect::<Vec<_>>() {
            // The list may be minutes old.
            if of_key(aws, &item.key).await?.iter().all(|shown| shown.id != item.id) {
                self.suspected.remove(&item.id);
                continue;
            }
            let found = match aws.describe(&item.id).await {
                Err(failure) if failure.class == Class::NotFound => continue,
                found => found?,
            };
            if !is_ours(&found, cluster) {
                self.suspected.remove(&item.id);
                continue;
            }
            if servers.exists(&found.key) || !servers.leads() {
                continue;
            }
            match aws.delete(&item.id).await {
                Err(failure) if failure.class != Class::NotFound => return Err(failure),
                _ => self.suspected.remove(&item.id),
            };
            deleted.push(found);
        }
        Ok(deleted)
    }

    /// Finds those that the next round may delete.
    async fn look(
        &mut self,
        aws: &dyn Associations,
        cluster: &str,
        listed: &[Summary],
        deleted: &[Association],
    ) -> Result<(), Failure> {
        let known = |id: &String| self.others.contains(id) || self.suspected.contains(id);
        let gone = |id: &String| deleted.iter().any(|found| found.id == *id);
        let news: Vec<_> = listed.iter().filter(|item| !known(&item.id) && !gone(&item.id)).take(LOOKS).collect();
        for item in news {
            match aws.described(&item.id).await {
                Ok(found) if is_ours(&found, cluster) => self.suspected.insert(found.id),
                Ok(found) => self.others.insert(found.id),
                Err(failure) if failure.class == Class::NotFound => continue,
                Err(failure) => return Err(failure),
            };
        }
        Ok(())
    }
}

/// Whether an association could be one: nobody else owns it, and no server has its key.
fn is_free(item: &Summary, servers: &dyn Servers) -> bool {
    item.owner_arn.is_none() && servers.watches(&item.key.namespace) && !servers.exists(&item.key)
}

#[cfg(test)]
mod tests;
