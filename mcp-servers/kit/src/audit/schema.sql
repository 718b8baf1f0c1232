-- The audit of MCP servers in PostgreSQL: an append-only table, and checkpoints that anchor its chains.
-- Run once, as the owner of the database:  mcp-NAME audit-schema | psql …
-- Then give each server a role that may add and read, and nothing else:
--   CREATE ROLE mcp_audit_writer LOGIN PASSWORD '…';
--   GRANT INSERT, SELECT ON mcp_audit, mcp_audit_checkpoint TO mcp_audit_writer;
BEGIN;

CREATE TABLE IF NOT EXISTS mcp_audit (
    chain    text        NOT NULL,
    sequence bigint      NOT NULL CHECK (sequence >= 0),
    record   text        NOT NULL,
    stored   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain, sequence)
);

CREATE TABLE IF NOT EXISTS mcp_audit_checkpoint (
    number bigint      PRIMARY KEY CHECK (number >= 0),
    record text        NOT NULL,
    stored timestamptz NOT NULL DEFAULT now()
);

-- Rights can be given by mistake; this holds for everybody but who drops it.
CREATE OR REPLACE FUNCTION mcp_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only: % on % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE OR REPLACE TRIGGER mcp_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON mcp_audit FOR EACH STATEMENT EXECUTE FUNCTION mcp_audit_refuse();
CREATE OR REPLACE TRIGGER mcp_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON mcp_audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION mcp_audit_refuse();

-- The same rows by their fields, for people who ask.
CREATE OR REPLACE VIEW mcp_audit_record AS
SELECT chain, sequence, (fields ->> 'time')::timestamptz AS time, fields ->> 'event' AS event, fields ->> 'principal' AS principal,
       fields ->> 'tool' AS tool, fields -> 'arguments' AS arguments, fields ->> 'decision' AS decision, fields ->> 'result' AS result,
       fields -> 'resources' AS resources, fields -> 'aws' AS aws, fields ->> 'trace' AS trace, fields ->> 'request' AS request,
       fields -> 'client' AS client, fields ->> 'server' AS server, (fields ->> 'call')::bigint AS call,
       (fields ->> 'duration_seconds')::double precision AS duration_seconds, (fields ->> 'bytes')::bigint AS bytes
FROM (SELECT chain, sequence, record::jsonb AS fields FROM mcp_audit) AS parsed;

COMMIT;
