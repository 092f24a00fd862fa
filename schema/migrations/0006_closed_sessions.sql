-- Each process asks once a second which sessions were closed lately, so that
-- it refuses their access tokens too.

-- +goose Up
CREATE INDEX sessions_closed ON sessions (closed_at) WHERE closed_at IS NOT NULL;

-- +goose Down
DROP INDEX sessions_closed;
