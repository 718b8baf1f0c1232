//! Who may not serve this server: roles that reach beyond the data. A read-only transaction does not stop them.

use tokio_postgres::{Client, Error};

/// What the role of a connection can do beyond reading and writing data, as words; nothing for a good role.
///
/// As the first SELECT of a transaction it also takes the snapshot after which nobody can make the transaction
/// read-write any more ("transaction read-write mode must be set before any query").
pub(crate) async fn reaches(client: &Client) -> Result<Vec<String>, Error> {
    Ok(client.query_typed(QUESTION, &[]).await?.first().map_or_else(Vec::new, |row| row.get(0)))
}

/// The functions named here read or write files of the server, or talk to other servers. By default only superusers
/// may call those of the core; extensions give theirs to everybody.
const QUESTION: &str = "
SELECT ARRAY(
    SELECT CASE WHEN rolname = session_user THEN 'is a superuser'
                ELSE 'is a member of the superuser ' || quote_ident(rolname) END
    FROM pg_catalog.pg_roles WHERE rolsuper AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
    UNION ALL
    SELECT 'has ' || attribute FROM pg_catalog.pg_roles,
        LATERAL (VALUES (rolreplication, 'REPLICATION'), (rolcreaterole, 'CREATEROLE')) AS has (it, attribute)
    WHERE rolname = session_user AND it AND NOT rolsuper
    UNION ALL
    SELECT 'is a member of ' || rolname FROM pg_catalog.pg_roles
    WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program',
                      'pg_signal_backend', 'pg_create_subscription')
        AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
        AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)
    UNION ALL
    SELECT DISTINCT 'may execute ' || proname FROM pg_catalog.pg_proc AS p
    WHERE (proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export',
                       'pg_file_write', 'pg_file_rename', 'pg_file_unlink', 'pg_reload_conf', 'pg_rotate_logfile')
            AND pronamespace = 'pg_catalog'::pg_catalog.regnamespace
        OR EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
                AND e.extname IN ('dblink', 'adminpack', 'http', 'pg_net', 'pg_background', 'pg_cron')))
        AND pg_catalog.has_function_privilege(session_user, p.oid, 'EXECUTE')
        AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)
    LIMIT 8
)::pg_catalog.text[]";

/// What to say about it.
pub(crate) fn refusal(reaches: &[String]) -> String {
    format!("the database role {}", reaches.join(", "))
}

/// What to do about it.
pub(crate) const MEND: &str = "give the server a role of its own that has nothing but USAGE on its schemas and SELECT (for \
                               writes INSERT, UPDATE, DELETE) on its tables; REVOKE what reaches files, programs and other servers";
