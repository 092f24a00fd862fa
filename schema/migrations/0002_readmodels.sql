-- Read models: everything here is derived from events and can be thrown away
-- and rebuilt. Rows depend on origin and position only, never on the order of
-- arrival, so that both sites hold equal rows for what both hold. No foreign
-- keys: a request and its answer come from different origins, in any order.

-- +goose Up
CREATE SCHEMA readmodel;

CREATE TABLE readmodel.users (
    id           text        NOT NULL COLLATE "C",
    username     text        NOT NULL COLLATE "C",
    email        text        NOT NULL COLLATE "C",
    full_name    text        NOT NULL,
    role         text        NOT NULL COLLATE "C",
    profile      text        NOT NULL COLLATE "C",
    active       boolean     NOT NULL,
    credential_algorithm text NOT NULL,
    credential_hash      text NOT NULL,
    created_at   timestamptz NOT NULL,
    pos          bigint      NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id)
);
-- Not unique: uniqueness is held by the stream username-<name>.
CREATE INDEX users_username ON readmodel.users (username);

CREATE TABLE readmodel.profiles (
    name         text   NOT NULL COLLATE "C",
    definition   json   NOT NULL,
    pos          bigint NOT NULL,
    CONSTRAINT profiles_pkey PRIMARY KEY (name)
);

CREATE TABLE readmodel.request_types (
    name         text   NOT NULL COLLATE "C",
    definition   json   NOT NULL,
    pos          bigint NOT NULL,
    CONSTRAINT request_types_pkey PRIMARY KEY (name)
);

CREATE TABLE readmodel.responder_configs (
    request_type text   NOT NULL COLLATE "C",
    definition   json   NOT NULL,
    pos          bigint NOT NULL,
    CONSTRAINT responder_configs_pkey PRIMARY KEY (request_type)
);

CREATE TABLE readmodel.requests (
    id           text        NOT NULL COLLATE "C",
    origin       text        NOT NULL COLLATE "C",
    pos          bigint      NOT NULL,
    user_id      text        NOT NULL COLLATE "C",
    type         text        NOT NULL COLLATE "C",
    type_version int         NOT NULL,
    params       json        NOT NULL,
    name         text        NOT NULL,
    priority     int         NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (id)
);
CREATE INDEX requests_of_user ON readmodel.requests (user_id, pos);

CREATE TABLE readmodel.responses (
    request_id   text        NOT NULL COLLATE "C",
    status       text        NOT NULL CONSTRAINT responses_status CHECK (status IN ('processing', 'answered', 'failed')),
    attempts     int         NOT NULL,
    responder    text        NOT NULL,
    result       json,
    result_count int         NOT NULL,
    took_ms      bigint      NOT NULL,
    truncated    boolean     NOT NULL,
    cached       boolean     NOT NULL,
    content_type text        NOT NULL,
    error_code   text,
    error_detail text,
    recorded_at  timestamptz,
    pos          bigint      NOT NULL,
    CONSTRAINT responses_pkey PRIMARY KEY (request_id)
);

GRANT USAGE ON SCHEMA readmodel TO sallyport_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA readmodel TO sallyport_app;

-- Where each reactor has got to in the log.
CREATE TABLE reactor_offsets (
    reactor  text   NOT NULL COLLATE "C",
    seq      bigint NOT NULL,
    CONSTRAINT reactor_offsets_pkey PRIMARY KEY (reactor)
);
GRANT SELECT, INSERT, UPDATE ON reactor_offsets TO sallyport_app;

-- +goose Down
DROP TABLE reactor_offsets;
DROP SCHEMA readmodel CASCADE;
