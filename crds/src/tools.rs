//! Which tools clients may use.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, pod::MountedKey, rule};

const TOOL: &str = "^[A-Za-z0-9_./-]{1,128}$";

choice! {
    /// What happens when the tools of a server change.
    OnChange {
        /// The new list counts at once.
        Accept,
        /// It counts, and the condition ToolsChanged says so.
        Warn,
        /// Ready is False until a person accepts it.
        Block,
    }
}

/// Which tools clients may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tools {
    /// Names of the tools that may be listed and called; all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(TOOL, "not a list of tool names: a name has letters, digits and _ . / -, for example list_tables"))]
    pub allow: Vec<String>,
    /// Names of tools that may not, whatever allow says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(TOOL, "not a list of tool names: a name has letters, digits and _ . / -, for example list_tables"))]
    pub deny: Vec<String>,
    /// What happens when the tools of the server change.
    #[serde(default)]
    #[schemars(transform = OnChange::explain)]
    pub on_change: OnChange,
    /// Key of a Secret with the key that seals what a person consents to, the same for all pods; mounted as a file.
    /// Needed by writes: Consent with several replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_key_ref: Option<MountedKey>,
}
