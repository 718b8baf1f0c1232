//! `rds_list_db_instances`, `rds_describe_db_instance`, `rds_list_snapshots`, `rds_create_snapshot`.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_rds::types::{DbInstance, DbSnapshot, Tag};
use mcp_kit::{Tool, ToolError};

use super::{listing, reading, spread::paged, writing};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, own, said, time},
    fault::Kind,
    place::{Aws, Place, client},
};

arguments!(List {
    ;
    /// For example available, stopped
    status: String,
    tags: BTreeMap<String, String>,
    cursor: String,
});
arguments!(One { db_instance: String ; });
arguments!(Snapshots { ; db_instance: String, cursor: String });
arguments!(Create { db_instance: String, snapshot: String ; dry_run: bool });
paged!(List, Snapshots);

answer!(Found {
    db_instance: String, region: String, status: String, engine: String, tags: BTreeMap<String, String> ;
    version: String, class: String, multi_az: bool, endpoint: String,
});
answer!(Details {
    db_instance: String, status: String, engine: String, tags: BTreeMap<String, String>, security_groups: Vec<String>,
    replicas: Vec<String> ;
    version: String, class: String, multi_az: bool, endpoint: String, port: i32, storage_gib: i32, storage_type: String,
    encrypted: bool, public: bool, backup_days: i32, zone: String, vpc: String, performance_insights: bool,
    iam_auth: bool, deletion_protection: bool, maintenance_window: String, created: String,
});
answer!(Snapshot {
    snapshot: String, db_instance: String, region: String, status: String ;
    kind: String, engine: String, size_gib: i32, percent: i32, encrypted: bool, created: String,
});
answer!(Created { snapshot: String, db_instance: String, status: String, message: String ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(aws, "rds_list_db_instances", "List RDS instances", "List databases, by status and tags.", true, list),
        reading(aws, "rds_describe_db_instance", "Describe RDS instance", "Describe one database.", describe),
        listing(
            aws,
            "rds_list_snapshots",
            "List RDS snapshots",
            "List snapshots, of one database or all.",
            true,
            snapshots,
        ),
        writing(
            aws,
            "rds_create_snapshot",
            "Create RDS snapshot",
            "Take a snapshot of a database. dry_run only checks state and name.",
            (false, true),
            create,
        ),
    ]
}

async fn list(arguments: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let rds = client!(aws_sdk_rds, place.reads());
    let request = rds.describe_db_instances().max_records(PAGE).set_marker(token);
    let answer = place.ask("rds:DescribeDBInstances", request.send()).await?;
    // RDS filters by neither: a page may come out shorter, and the cursor goes on.
    let wanted = |db: &&DbInstance| {
        let tags = tags_of(db.tag_list());
        arguments.status.as_deref().is_none_or(|status| db.db_instance_status() == Some(status))
            && arguments.tags.iter().flatten().all(|(name, value)| tags.get(name) == Some(value))
    };
    let found = answer.db_instances().iter().filter(wanted).map(|db| Found {
        db_instance: said(db.db_instance_identifier()),
        region: place.region.clone(),
        status: said(db.db_instance_status()),
        engine: said(db.engine()),
        tags: tags_of(db.tag_list()),
        version: own(db.engine_version()),
        class: own(db.db_instance_class()),
        multi_az: db.multi_az(),
        endpoint: db.endpoint().and_then(|endpoint| own(endpoint.address())),
    });
    Ok(Chunk::new(found.collect(), answer.marker()))
}

async fn describe(arguments: One, place: Place) -> Result<Details, ToolError> {
    let db = instance(&place, &arguments.db_instance).await?;
    let groups = db.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id());
    Ok(Details {
        db_instance: said(db.db_instance_identifier()),
        status: said(db.db_instance_status()),
        engine: said(db.engine()),
        tags: tags_of(db.tag_list()),
        security_groups: groups.map(str::to_owned).collect(),
        replicas: db.read_replica_db_instance_identifiers().to_vec(),
        version: own(db.engine_version()),
        class: own(db.db_instance_class()),
        multi_az: db.multi_az(),
        endpoint: db.endpoint().and_then(|endpoint| own(endpoint.address())),
        port: db.endpoint().and_then(|endpoint| endpoint.port()),
        storage_gib: db.allocated_storage(),
        storage_type: own(db.storage_type()),
        encrypted: db.storage_encrypted(),
        public: db.publicly_accessible(),
        backup_days: db.backup_retention_period(),
        zone: own(db.availability_zone()),
        vpc: db.db_subnet_group().and_then(|group| own(group.vpc_id())),
        performance_insights: db.performance_insights_enabled(),
        iam_auth: db.iam_database_authentication_enabled(),
        deletion_protection: db.deletion_protection(),
        maintenance_window: own(db.preferred_maintenance_window()),
        created: time(db.instance_create_time()),
    })
}

async fn snapshots(
    arguments: Arc<Snapshots>,
    place: Place,
    token: Option<String>,
) -> Result<Chunk<Snapshot>, ToolError> {
    let rds = client!(aws_sdk_rds, place.reads());
    let request = rds.describe_db_snapshots().max_records(PAGE).set_marker(token);
    let request = request.set_db_instance_identifier(arguments.db_instance.clone());
    let answer = place.ask("rds:DescribeDBSnapshots", request.send()).await?;
    let found = answer.db_snapshots().iter().map(|snapshot| Snapshot {
        snapshot: said(snapshot.db_snapshot_identifier()),
        db_instance: said(snapshot.db_instance_identifier()),
        region: place.region.clone(),
        status: said(snapshot.status()),
        kind: own(snapshot.snapshot_type()),
        engine: own(snapshot.engine()),
        size_gib: snapshot.allocated_storage(),
        percent: snapshot.percent_progress(),
        encrypted: snapshot.encrypted(),
        created: time(snapshot.snapshot_create_time()),
    });
    Ok(Chunk::new(found.collect(), answer.marker()))
}

async fn create(arguments: Create, place: Place) -> Result<Created, ToolError> {
    let Create { db_instance, snapshot, .. } = &arguments;
    let valid = snapshot.len() <= 255
        && snapshot.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && snapshot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !snapshot.ends_with('-')
        && !snapshot.contains("--");
    if !valid {
        let message =
            "snapshot: expected 1 to 255 letters, digits and single -, beginning with a letter, not ending with -";
        return Err(ToolError::new(format!("{message}; found {snapshot:?}")));
    }
    let db = instance(&place, db_instance).await?;
    let status = said(db.db_instance_status());
    if !matches!(status.as_str(), "available" | "storage-optimization") {
        return Err(ToolError::new(format!("database {db_instance} is {status}; a snapshot needs it to be available")));
    }
    let created = |status: String, message: &str| Created {
        snapshot: snapshot.clone(),
        db_instance: db_instance.clone(),
        status,
        message: message.to_owned(),
    };
    if arguments.dry_run == Some(true) {
        return Ok(created("none".to_owned(), "dry run: the state allows it; permission was not checked"));
    }
    let rds = client!(aws_sdk_rds, &place.writes());
    // The name is the idempotency token: RDS takes it once.
    let request = rds.create_db_snapshot().db_instance_identifier(db_instance).db_snapshot_identifier(snapshot);
    match place.try_ask("rds:CreateDBSnapshot", request.send()).await? {
        Ok(answer) => {
            let status = answer.db_snapshot().map_or_else(String::new, |snapshot: &DbSnapshot| said(snapshot.status()));
            Ok(created(status, "RDS is taking it; rds_list_snapshots shows how far it is"))
        }
        Err(fault) if fault.code.starts_with("DBSnapshotAlreadyExists") => {
            Err(ToolError::new(format!("there is a snapshot {snapshot:?} already; choose another name")))
        }
        Err(fault) => Err(fault.told(&place, "rds:CreateDBSnapshot")),
    }
}

pub(super) async fn instance(place: &Place, name: &str) -> Result<DbInstance, ToolError> {
    let rds = client!(aws_sdk_rds, place.reads());
    let missing = || {
        ToolError::new(format!("not found in {}: database {name:?}; rds_list_db_instances names them", place.region))
    };
    let request = rds.describe_db_instances().db_instance_identifier(name);
    match place.try_ask("rds:DescribeDBInstances", request.send()).await? {
        Ok(answer) => answer.db_instances.unwrap_or_default().into_iter().next().ok_or_else(missing),
        Err(fault) if fault.kind == Kind::NotFound => Err(missing()),
        Err(fault) => Err(fault.told(place, "rds:DescribeDBInstances")),
    }
}

fn tags_of(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), said(tag.value())))).collect()
}
