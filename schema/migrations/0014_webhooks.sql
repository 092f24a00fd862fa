-- Whom to tell of answers, how telling them goes, and what reactors gave up.

-- +goose Up

CREATE TABLE readmodel.webhooks (
    id           text        NOT NULL COLLATE "C",
    user_id      text        NOT NULL COLLATE "C",
    url          text        NOT NULL,
    notices      text[]      NOT NULL,
    state        text        NOT NULL COLLATE "C" CONSTRAINT webhooks_state CHECK (state IN ('active', 'off', 'removed')),
    reason       text        NOT NULL, -- of the state
    created_at   timestamptz NOT NULL,
    pos          bigint      NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (id)
);
CREATE INDEX webhooks_of_user ON readmodel.webhooks (user_id, created_at, id) WHERE state <> 'removed';

-- How delivering goes is no event: it changes with every message.
CREATE TABLE webhook_deliveries (
    webhook      text        NOT NULL COLLATE "C",
    given_up     int         NOT NULL DEFAULT 0, -- messages in a row, since the last that arrived
    delivered_at timestamptz,                    -- when a message last arrived
    failed_at    timestamptz,                    -- when an attempt last failed
    error        text        NOT NULL DEFAULT '',
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (webhook)
);

-- Events that a reactor could not handle, until a person decides about them.
CREATE TABLE poisoned (
    id           bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    reactor      text        NOT NULL COLLATE "C",
    seq          bigint      NOT NULL, -- of the event in the log
    target       text        NOT NULL COLLATE "C", -- the one receiver it failed for; empty: all that the reactor does
    reason       text        NOT NULL,
    failures     int         NOT NULL DEFAULT 1,
    first_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    requeued_at  timestamptz,
    CONSTRAINT poisoned_pkey PRIMARY KEY (id),
    CONSTRAINT poisoned_once UNIQUE (reactor, seq, target)
);
CREATE INDEX poisoned_requeued ON poisoned (reactor, requeued_at) WHERE requeued_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.webhooks, webhook_deliveries, poisoned TO sallyport_app;

-- +goose Down
DROP TABLE poisoned;
DROP TABLE webhook_deliveries;
DROP TABLE readmodel.webhooks;
