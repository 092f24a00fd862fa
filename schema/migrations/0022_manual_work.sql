-- What waits for analysts, who sees to it, and what became of it.

-- +goose Up

CREATE TABLE readmodel.work (
    request_id   text        NOT NULL COLLATE "C",
    request_type text        NOT NULL COLLATE "C",
    type_version int         NOT NULL,
    priority     int         NOT NULL,
    question     text        NOT NULL COLLATE "C", -- the same for the same question
    task         json        NOT NULL,
    opened_at    timestamptz NOT NULL,
    opened_pos   bigint      NOT NULL, -- of work.opened: what comes first among equals
    holder       text        COLLATE "C", -- NULL: nobody's; that a claim timed out is seen by its time
    until        timestamptz,
    outcome      text        COLLATE "C" CONSTRAINT work_outcome CHECK (outcome IN ('answered', 'failed', 'withdrawn')), -- NULL: it is open
    closed_at    timestamptz,
    closed_by    text        COLLATE "C",
    pos          bigint      NOT NULL,
    CONSTRAINT work_pkey PRIMARY KEY (request_id)
);
CREATE INDEX work_to_do ON readmodel.work (priority DESC, opened_pos) WHERE outcome IS NULL;
CREATE INDEX work_answered ON readmodel.work (question, pos DESC) WHERE outcome = 'answered';
GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.work TO sallyport_app;

-- +goose Down
DROP TABLE readmodel.work;
