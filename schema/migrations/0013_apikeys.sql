-- API keys, and sessions that end with their user's password.

-- +goose Up

CREATE TABLE readmodel.api_keys (
    id           text        NOT NULL COLLATE "C",
    user_id      text        NOT NULL COLLATE "C",
    name         text        NOT NULL,
    prefix       text        NOT NULL COLLATE "C",
    hash         bytea       NOT NULL CONSTRAINT api_keys_hash CHECK (length(hash) = 32),
    scopes       text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    -- NULL: it does not expire
    expires_at   timestamptz,
    revoked_at   timestamptz,
    pos          bigint      NOT NULL,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX api_keys_by_hash ON readmodel.api_keys (hash);
CREATE INDEX api_keys_of_user ON readmodel.api_keys (user_id, created_at, id);
GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.api_keys TO sallyport_app;

-- When a key was last used is no event and no read model: it changes all the
-- time, is written at most once a minute, and cannot be derived.
CREATE TABLE api_key_uses (
    id            text        NOT NULL COLLATE "C",
    last_used_at  timestamptz NOT NULL,
    CONSTRAINT api_key_uses_pkey PRIMARY KEY (id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON api_key_uses TO sallyport_app;

-- All sessions of a user end at once.
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE closed_at IS NULL;

-- +goose Down
DROP INDEX sessions_of_user;
DROP TABLE api_key_uses, readmodel.api_keys;
