-- A site that was restored from a backup.

-- +goose Up

-- Why nothing may be appended: the log lost events. NULL: appending is allowed.
ALTER TABLE log_head ADD COLUMN read_only text;

-- +goose Down
ALTER TABLE log_head DROP COLUMN read_only;
