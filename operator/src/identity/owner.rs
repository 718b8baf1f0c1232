//! Whose an association is: a matter of its tags. Pure.
//!
//! In: an association, and who asks. Out: [`Whose`]. A name comes again when a server is deleted and made anew; a uid never
//! does. What an EKS add-on owns is never ours, whatever its tags.

use super::{Association, Tags};

/// Tag: name of the cluster.
pub const CLUSTER: &str = "mcp-eks.dev/cluster";
/// Tag: namespace of the McpServer.
pub const NAMESPACE: &str = "mcp-eks.dev/namespace";
/// Tag: name of the McpServer.
pub const NAME: &str = "mcp-eks.dev/name";
/// Tag: uid of the McpServer.
pub const UID: &str = "mcp-eks.dev/uid";
/// Tag: `true` once the McpServer is deleted and the association stays by its `deletionPolicy`.
pub const RETAINED: &str = "mcp-eks.dev/retained";

/// The McpServer for which an association is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its cluster, as AWS calls it.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// The tags that say so.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let tags = [(CLUSTER, &self.cluster), (NAMESPACE, &self.namespace), (NAME, &self.name), (UID, &self.uid)];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }
}

/// Whose an association is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The server's that asks.
    Ours {
        /// Tags that somebody took off or changed.
        missing: Tags,
    },
    /// That of a deleted server of the same name: there is one of a name at a time.
    Predecessors {
        /// Whether it was to stay.
        retained: bool,
    },
    /// Somebody's who tagged it for this server, without a uid.
    Offered,
    /// That of an EKS add-on.
    Addons(String),
    /// Somebody else's.
    Others,
}

/// Whose an association is, as seen by `owner`.
#[must_use]
pub fn whose(association: &Association, owner: &Owner) -> Whose {
    if let Some(addon) = &association.owner_arn {
        return Whose::Addons(addon.clone());
    }
    let (has, wants) = (&association.tags, owner.tags());
    let missing: Tags = wants.into_iter().filter(|(key, value)| has.get(key) != Some(value)).collect();
    // A tag of another cluster is a claim of another operator: two clusters may well have servers of the same uid after
    // a restore from a backup.
    let elsewhere = has.get(CLUSTER).is_some_and(|cluster| *cluster != owner.cluster);
    match (elsewhere, missing.contains_key(UID)) {
        (false, false) => Whose::Ours { missing },
        (false, true) if missing.len() > 1 => Whose::Others,
        (false, true) if has.contains_key(UID) => Whose::Predecessors { retained: is_retained(association) },
        (false, true) => Whose::Offered,
        _ => Whose::Others,
    }
}

/// Whether an association was to stay when its server was deleted.
#[must_use]
pub fn is_retained(association: &Association) -> bool {
    association.tags.get(RETAINED).is_some_and(|value| value == "true")
}
