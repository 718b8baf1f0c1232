//! What can be read under an address: the list of tables, and the description of each.

use mcp_kit::{Address, Call, Contents, Resource};
use serde_json::json;

use crate::store::Store;

const JSON: &str = "application/json";

/// Everything this server shows.
pub(crate) fn all(store: &Store) -> [Resource; 2] {
    [tables(store), table(store)]
}

fn tables(store: &Store) -> Resource {
    let store = store.clone();
    let read = move |_: Address, call: Call| {
        let store = store.clone();
        async move { Contents::json(&json!({"tables": store.tables(call, None).await?})) }
    };
    Resource::new("db://tables", "tables", "Tables", "All tables and views", JSON, read)
}

fn table(store: &Store) -> Resource {
    let store = store.clone();
    let read = move |address: Address, call: Call| {
        let store = store.clone();
        async move {
            let (schema, name) = (address.part("schema").to_owned(), address.part("name").to_owned());
            Contents::json(&store.describe(call, Some(schema), name).await?)
        }
    };
    let description = "A table: columns, types, keys, indexes; the schema of SQLite is main";
    Resource::new("db://tables/{schema}/{name}", "table", "Table", description, JSON, read)
}
