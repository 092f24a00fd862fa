-- The crossing's own state, owned by bridge and never rebuilt.

-- +goose Up

-- One row a peer. Exporting and importing lock it before the log's head.
CREATE TABLE links (
    peer              text        NOT NULL COLLATE "C",
    card              json        NOT NULL,
    added_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped           text,
    -- what we send: our log, cut into numbered bundles
    exported_seq      bigint      NOT NULL DEFAULT 0,
    exported_through  bigint      NOT NULL DEFAULT 0,
    exported_chain    bytea       NOT NULL,
    acked_seq         bigint      NOT NULL DEFAULT 0,
    acked_through     bigint      NOT NULL DEFAULT 0,
    -- what we receive: the mirror of the peer's log
    applied_seq       bigint      NOT NULL DEFAULT 0,
    applied_through   bigint      NOT NULL DEFAULT 0,
    applied_chain     bytea       NOT NULL,
    -- acknowledgements: ours are numbered by ack_no, theirs count if higher than peer_ack_no
    incarnation       text        NOT NULL,
    ack_no            bigint      NOT NULL DEFAULT 0,
    peer_incarnation  text        NOT NULL DEFAULT '',
    peer_ack_no       bigint      NOT NULL DEFAULT 0,
    peer_head_seq     bigint      NOT NULL DEFAULT 0,
    peer_head         bigint      NOT NULL DEFAULT 0,
    last_contact      timestamptz,
    CONSTRAINT links_pkey PRIMARY KEY (peer)
);

-- A row is the plan of a bundle, committed before its file is written: making
-- it again gives exactly the same core, and so the same id.
CREATE TABLE outbound_bundles (
    peer           text        NOT NULL COLLATE "C",
    epoch          text        NOT NULL,
    seq            bigint      NOT NULL,
    "after"        bigint      NOT NULL,
    through        bigint      NOT NULL,
    chain_after    bytea       NOT NULL,
    chain_through  bytea       NOT NULL,
    prev           text        NOT NULL,
    salt           text        NOT NULL,
    -- the runs that do not go to this peer: [[after, through], …]
    withheld       json        NOT NULL,
    events         bigint      NOT NULL,
    withheld_events bigint     NOT NULL,
    operator       text        NOT NULL,
    planned_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    id             text,
    file           text,
    bytes          bigint,
    published_at   timestamptz,
    CONSTRAINT outbound_bundles_pkey PRIMARY KEY (peer, epoch, seq),
    CONSTRAINT outbound_bundles_range CHECK (through > "after")
);

CREATE TABLE inbound_bundles (
    peer         text        NOT NULL COLLATE "C",
    epoch        text        NOT NULL,
    seq          bigint      NOT NULL,
    id           text        NOT NULL,
    file         text        NOT NULL,
    state        text        NOT NULL CONSTRAINT inbound_bundles_state
                 CHECK (state IN ('verified', 'held', 'applied', 'archived')),
    reason       text        NOT NULL DEFAULT '',
    manifest     text        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at   timestamptz,
    CONSTRAINT inbound_bundles_pkey PRIMARY KEY (peer, epoch, seq, id)
);

CREATE TABLE quarantined_files (
    id           uuid        NOT NULL,
    file         text        NOT NULL,
    sha256       text        NOT NULL,
    peer         text        NOT NULL,
    code         text        NOT NULL,
    message      text        NOT NULL,
    next_step    text        NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT quarantined_files_pkey PRIMARY KEY (id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON links, outbound_bundles, inbound_bundles, quarantined_files TO sallyport_app;

-- +goose Down
DROP TABLE quarantined_files, inbound_bundles, outbound_bundles, links;
