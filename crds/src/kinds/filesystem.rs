//! The bundled Filesystem server.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Writes;
use crate::{choice::choice, rule};

/// The bundled Filesystem server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.writes != 'Off' || self.roots.all(root, root.access == 'ReadOnly')")
    .message("a root with access ReadWrite needs writes: Consent or writes: Allow: without it no tool could write there"))]
pub struct FilesystemServer {
    /// The directories that clients may see, each a volume.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub roots: Vec<Root>,
    /// Whether tools that change files are there.
    #[serde(default)]
    #[schemars(transform = Writes::explain)]
    pub writes: Writes,
}

choice! {
    /// What tools may do below a root.
    Access {
        /// They may read.
        ReadOnly,
        /// They may read and change files, if writes allows it.
        ReadWrite,
    }
}

/// A directory that clients may see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Root {
    /// First part of the paths below it: clients see /NAME/...
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rule::matches(rule::LABEL, "the name of a root has lower-case letters, digits and '-', for example docs"))]
    pub name: String,
    /// Name of a volume in spec.volumes.
    #[schemars(length(min = 1, max = 63))]
    pub volume: String,
    /// What tools may do below it.
    #[serde(default)]
    #[schemars(transform = Access::explain)]
    pub access: Access,
}
