-- Requests that were cancelled or asked again. Adding columns with a constant
-- default rewrites no row.

-- +goose Up
ALTER TABLE readmodel.requests
    -- the position of request.cancelled; 0: it was not
    ADD COLUMN cancelled_pos   bigint NOT NULL DEFAULT 0,
    -- the position of the newest request.retried; 0: there is none
    ADD COLUMN retried_pos     bigint NOT NULL DEFAULT 0,
    -- the newest failure that one of them named, a position of the answering site's log
    ADD COLUMN retried_failure bigint NOT NULL DEFAULT 0;

-- pending: a failure was taken back; withdrawn: the request was cancelled first
ALTER TABLE readmodel.responses DROP CONSTRAINT responses_status;
ALTER TABLE readmodel.responses ADD CONSTRAINT responses_status
    CHECK (status IN ('pending', 'processing', 'answered', 'failed', 'withdrawn'));

-- +goose Down
ALTER TABLE readmodel.responses DROP CONSTRAINT responses_status;
DELETE FROM readmodel.responses WHERE status IN ('pending', 'withdrawn');
ALTER TABLE readmodel.responses ADD CONSTRAINT responses_status
    CHECK (status IN ('processing', 'answered', 'failed'));
ALTER TABLE readmodel.requests DROP COLUMN cancelled_pos, DROP COLUMN retried_pos, DROP COLUMN retried_failure;
