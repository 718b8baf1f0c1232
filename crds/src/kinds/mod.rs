//! What runs: the bundled servers, and any other by its image.

pub mod aws;
pub mod custom;
pub mod database;
pub mod filesystem;
pub mod image;
pub mod shop;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, rule};

pub use aws::AwsServer;
pub use custom::CustomServer;
pub use database::DatabaseServer;
pub use filesystem::{FilesystemServer, Root};
pub use image::ImageServer;
pub use shop::{OrderServer, ProductServer};

/// Every member of [`ServerKind`].
pub const MEMBERS: [&str; 7] = ["aws", "database", "custom", "filesystem", "product", "order", "image"];

choice! {
    /// Whether tools that change something are there.
    Writes {
        /// There is none.
        Off,
        /// A person confirms each destructive call.
        Consent,
        /// They run when called.
        Allow,
    }
}

/// What runs: exactly one of the members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&MEMBERS, "set exactly one of aws, database, custom, filesystem, product, order, image in spec.server: an McpServer runs one server; write a second McpServer for another"))]
#[x_kube(validation = same_member())]
pub struct ServerKind {
    /// The bundled AWS server: reads AWS resources, and changes them if writes says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsServer>,
    /// The bundled Database server: queries SQLite or PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseServer>,
    /// The bundled Custom server: weather, a key-value store and time; the template for one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomServer>,
    /// The bundled Filesystem server: reads files below the named roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<FilesystemServer>,
    /// The bundled Product server: a sample catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductServer>,
    /// The bundled Order server: sample orders, checked against a Product server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderServer>,
    /// Any other MCP server, from its container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageServer>,
}

/// A server stays what it was made as: clients, roles and data belong to it.
fn same_member() -> kube::core::Rule {
    let same: Vec<_> = MEMBERS.iter().map(|member| format!("has(self.{member}) == has(oldSelf.{member})")).collect();
    kube::core::Rule::new(same.join(" && "))
        .message("spec.server cannot become another kind of server: delete this McpServer and make a new one")
}

impl ServerKind {
    /// Name of the member that is set; the first, should there be several.
    #[must_use]
    pub fn member(&self) -> Option<&'static str> {
        let set = [
            self.aws.is_some(),
            self.database.is_some(),
            self.custom.is_some(),
            self.filesystem.is_some(),
            self.product.is_some(),
            self.order.is_some(),
            self.image.is_some(),
        ];
        MEMBERS.into_iter().zip(set).find_map(|(member, set)| set.then_some(member))
    }

    /// Number of members that are set.
    #[must_use]
    pub fn members(&self) -> usize {
        serde_json::to_value(self).ok().and_then(|it| it.as_object().map(serde_json::Map::len)).unwrap_or_default()
    }

    /// Which writes the server allows, if it is of a kind that has any.
    #[must_use]
    pub fn writes(&self) -> Option<Writes> {
        None.or(self.aws.as_ref().map(|server| server.writes))
            .or(self.database.as_ref().map(|server| server.writes))
            .or(self.filesystem.as_ref().map(|server| server.writes))
            .or(self.product.as_ref().map(|server| server.writes))
            .or(self.order.as_ref().map(|server| server.writes))
    }
}
