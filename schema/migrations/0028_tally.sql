-- Requests are counted as they go, so that whoever asks how many there are need
-- not count them all. These rows follow the log; they do not commit with it.

-- +goose Up

-- What became of the requests of a user in a stretch of time, by when they were
-- submitted. Rows are never taken away, so that an update changes numbers only.
CREATE TABLE readmodel.request_counts (
    user_id    text        NOT NULL COLLATE "C", -- empty: everybody's
    step       text        NOT NULL COLLATE "C" CONSTRAINT request_counts_step CHECK (step IN ('ever', 'day', 'hour', 'minute')),
    begins     timestamptz NOT NULL, -- -infinity: ever
    type       text        NOT NULL COLLATE "C", -- empty: of all types
    pending    bigint      NOT NULL,
    exported   bigint      NOT NULL,
    delivered  bigint      NOT NULL,
    processing bigint      NOT NULL,
    answered   bigint      NOT NULL,
    failed     bigint      NOT NULL,
    cancelled  bigint      NOT NULL,
    -- where in their log the first and the last of them stand
    first_pos  bigint      NOT NULL,
    last_pos   bigint      NOT NULL,
    CONSTRAINT request_counts_pkey PRIMARY KEY (user_id, step, begins, type)
) WITH (fillfactor = 80);

-- How long it took: the bucket n holds times from 2^(n/4) milliseconds on.
CREATE TABLE readmodel.request_times (
    step       text        NOT NULL COLLATE "C" CONSTRAINT request_times_step CHECK (step IN ('day', 'hour', 'minute')),
    begins     timestamptz NOT NULL,
    what       text        NOT NULL COLLATE "C" CONSTRAINT request_times_what CHECK (what IN ('answer', 'crossing')),
    bucket     int         NOT NULL,
    requests   bigint      NOT NULL,
    CONSTRAINT request_times_pkey PRIMARY KEY (step, begins, what, bucket)
) WITH (fillfactor = 80);

-- How much of the log is counted, and how far the link had got by then. It is
-- moved in the transaction that counts.
CREATE TABLE readmodel.requests_counted (
    only_row         boolean NOT NULL DEFAULT true CONSTRAINT requests_counted_is_one_row CHECK (only_row),
    seq              bigint  NOT NULL,
    exported_through bigint  NOT NULL,
    acked_through    bigint  NOT NULL,
    CONSTRAINT requests_counted_pkey PRIMARY KEY (only_row)
);
INSERT INTO readmodel.requests_counted (seq, exported_through, acked_through) VALUES (0, 0, 0);
GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.request_counts, readmodel.request_times, readmodel.requests_counted TO sallyport_app;

-- +goose Down
DROP TABLE readmodel.request_counts, readmodel.request_times, readmodel.requests_counted;
