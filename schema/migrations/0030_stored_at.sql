-- Events that are stored together are written to a page at once, which PostgreSQL
-- does only where a row's defaults are the same as its neighbour's. When the
-- statement began is no less true: it begins once the head is locked.

-- +goose Up
ALTER TABLE events ALTER COLUMN stored_at SET DEFAULT statement_timestamp();

-- +goose Down
ALTER TABLE events ALTER COLUMN stored_at SET DEFAULT clock_timestamp();
