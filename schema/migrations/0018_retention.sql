-- What was cleared away of the read models, and what a site does by itself.

-- +goose Up

-- How far each site has cleared its read models of finished requests, from
-- retention.applied of its own and of its peers: see what both still hold.
CREATE TABLE readmodel.retention (
    site       text        NOT NULL COLLATE "C",
    log        text        NOT NULL COLLATE "C", -- whose positions: the site that answers
    through    bigint      NOT NULL,
    before     timestamptz NOT NULL,
    pos        bigint      NOT NULL, -- of the event, in the site's log
    CONSTRAINT retention_pkey PRIMARY KEY (site)
);

-- When each periodic job last ran, whichever process did it.
CREATE TABLE periodic_runs (
    job        text        NOT NULL COLLATE "C",
    began_at   timestamptz NOT NULL, -- the newest run
    ended_at   timestamptz,          -- empty: it runs, or its process died
    done_at    timestamptz,          -- when a run last succeeded, by its beginning
    result     text        NOT NULL DEFAULT '', -- what it did, or why it failed
    failed     boolean     NOT NULL DEFAULT false,
    worker     text        NOT NULL COLLATE "C",
    CONSTRAINT periodic_runs_pkey PRIMARY KEY (job)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.retention, periodic_runs TO sallyport_app;

-- +goose Down
DROP TABLE periodic_runs;
DROP TABLE readmodel.retention;
