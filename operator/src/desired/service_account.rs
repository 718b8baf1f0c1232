//! The ServiceAccount: one a server, so that no right is ever shared; no token is mounted.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{ChildKind, Valid, labels};

pub(super) fn build(server: &Valid) -> ServiceAccount {
    ServiceAccount {
        metadata: labels::metadata(ChildKind::ServiceAccount, server),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
