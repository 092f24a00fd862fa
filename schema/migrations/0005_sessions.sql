-- Sessions of this site's own users: what a refresh token stands for. They
-- are no part of the log and never cross.

-- +goose Up

-- A session begins with a login and ends by logging out, by expiry, or when
-- one of its spent tokens is shown again (closed_at is set).
CREATE TABLE sessions (
    id          uuid        NOT NULL,
    user_id     text        NOT NULL COLLATE "C",
    opened_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    closed_at   timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id)
);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Of a token only its SHA-256 is kept. Each is good once: used_at marks it
-- spent, and its successor belongs to the same session.
CREATE TABLE refresh_tokens (
    hash        bytea       NOT NULL CONSTRAINT refresh_tokens_hash CHECK (length(hash) = 32),
    session_id  uuid        NOT NULL CONSTRAINT refresh_tokens_session REFERENCES sessions ON DELETE CASCADE,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash)
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, refresh_tokens TO sallyport_app;

-- +goose Down
DROP TABLE refresh_tokens, sessions;
