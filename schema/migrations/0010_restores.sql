-- A site that was restored from a backup.

-- +goose Up

-- Why nothing may be appended: the log lost events. NULL: appending is allowed.
ALTER TABLE log_head ADD COLUMN read_only text;

-- The log's chain at a position is known where any bundle ends.
DROP INDEX outbound_bundles_through;
CREATE INDEX outbound_bundles_through ON outbound_bundles (epoch, through);

-- +goose Down
DROP INDEX outbound_bundles_through;
CREATE INDEX outbound_bundles_through ON outbound_bundles (peer, epoch, through);
ALTER TABLE log_head DROP COLUMN read_only;
