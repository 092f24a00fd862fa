-- A site that was restored from a backup, and logs that were founded anew.

-- +goose Up

ALTER TABLE log_head
    -- why nothing may be appended: the log lost events. NULL: appending is allowed
    ADD COLUMN read_only text,
    -- the last position that belongs to earlier epochs; 0: there was none
    ADD COLUMN start     bigint NOT NULL DEFAULT 0;

-- The epochs of a log before its present one. A log that is founded anew begins
-- its chain anew and goes on above every position that was ever used.
CREATE TABLE ended_epochs (
    origin   text   NOT NULL COLLATE "C",
    epoch    text   NOT NULL,
    "after"  bigint NOT NULL,
    through  bigint NOT NULL,
    chain    bytea  NOT NULL CONSTRAINT ended_epochs_chain CHECK (length(chain) = 32),
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ended_epochs_pkey PRIMARY KEY (origin, epoch),
    CONSTRAINT ended_epochs_range CHECK (through >= "after")
);
CREATE TRIGGER ended_epochs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ended_epochs
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
GRANT SELECT, INSERT ON ended_epochs TO sallyport_app;

-- the last position that belongs to earlier epochs of the peer's log
ALTER TABLE links ADD COLUMN applied_start bigint NOT NULL DEFAULT 0;

-- A peer's own line of the payload: with it, the mirror can give the payload
-- back byte by byte, which only its true content survives.
ALTER TABLE inbound_bundles ADD COLUMN first text NOT NULL DEFAULT '';

-- The log's chain at a position is known where any bundle ends.
DROP INDEX outbound_bundles_through;
CREATE INDEX outbound_bundles_through ON outbound_bundles (epoch, through);

-- +goose Down
DROP INDEX outbound_bundles_through;
CREATE INDEX outbound_bundles_through ON outbound_bundles (peer, epoch, through);
ALTER TABLE inbound_bundles DROP COLUMN first;
ALTER TABLE links DROP COLUMN applied_start;
DROP TABLE ended_epochs;
ALTER TABLE log_head DROP COLUMN read_only, DROP COLUMN start;
