-- The log: one table that is only ever inserted into, one row that orders it.

-- +goose Up

-- What the running program may do is granted to this role; migrations run as
-- the owner. A login is given the role once: GRANT sallyport_app TO <login>.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sallyport_app') THEN
        CREATE ROLE sallyport_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this cluster was migrated at the same moment
END
$$;
-- +goose StatementEnd

-- Holding this one row's lock to the commit is what makes seq and pos free of
-- holes and their order the order of commits. fillfactor leaves room for HOT
-- updates, so that the row never grows its index.
CREATE TABLE log_head (
    only_row    boolean PRIMARY KEY DEFAULT true CONSTRAINT log_head_is_one_row CHECK (only_row),
    site        text    NOT NULL COLLATE "C",
    role        text    NOT NULL CONSTRAINT log_head_role CHECK (role IN ('request', 'response')),
    epoch       text    NOT NULL CONSTRAINT log_head_epoch CHECK (epoch ~ '^[0-9a-f]{32}$'),
    seq         bigint  NOT NULL,
    pos         bigint  NOT NULL,
    chain       bytea   NOT NULL CONSTRAINT log_head_chain CHECK (length(chain) = 32),
    -- Programs whose writer version is lower must not append.
    min_writer  int     NOT NULL DEFAULT 1
) WITH (fillfactor = 10);

-- line is what is hashed and exported; every other column is taken from it,
-- for look-up only. The unique constraints make the database itself refuse
-- to store anything twice.
CREATE TABLE events (
    seq        bigint      NOT NULL,
    origin     text        NOT NULL COLLATE "C",
    pos        bigint      NOT NULL,
    id         uuid        NOT NULL,
    stream     text        NOT NULL COLLATE "C",
    ver        bigint      NOT NULL,
    type       text        NOT NULL COLLATE "C",
    at         timestamptz NOT NULL,
    actor      text        NOT NULL,
    corr       text        NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    line       text        NOT NULL,
    CONSTRAINT events_pkey        PRIMARY KEY (seq),
    CONSTRAINT events_origin_pos  UNIQUE (origin, pos),
    CONSTRAINT events_stream_ver  UNIQUE (stream, ver, origin),
    CONSTRAINT events_origin_id   UNIQUE (id, origin)
);

-- A run of a peer's positions that it withheld from us, with its chain after.
CREATE TABLE withheld (
    origin   text   NOT NULL COLLATE "C",
    "after"  bigint NOT NULL,
    through  bigint NOT NULL,
    chain    bytea  NOT NULL CONSTRAINT withheld_chain CHECK (length(chain) = 32),
    CONSTRAINT withheld_pkey PRIMARY KEY (origin, "after"),
    CONSTRAINT withheld_range CHECK (through > "after")
);

-- Grants stop the program; the trigger also stops an owner's slip of the hand.
-- +goose StatementBegin
CREATE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is only ever appended to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER withheld_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON withheld
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();

GRANT SELECT, INSERT ON events, withheld TO sallyport_app;
GRANT SELECT, INSERT, UPDATE ON log_head TO sallyport_app;

-- +goose Down
DROP TABLE withheld, events, log_head;
DROP FUNCTION log_is_append_only();
