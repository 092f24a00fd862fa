-- What a link must know to heal by itself: what was told and what the peer saw
-- of it, what the peer asks for, and when each number was last made.

-- +goose Up

ALTER TABLE links
    -- raised by whoever takes the exporter's lock: what an earlier holder that
    -- lost the lock still wants to record is refused
    ADD COLUMN export_fence       bigint  NOT NULL DEFAULT 0,
    -- what our newest published manifest told, see bridge/link.Told
    ADD COLUMN told               json    NOT NULL DEFAULT '{}',
    ADD COLUMN owes               bigint  NOT NULL DEFAULT 0,
    ADD COLUMN unconfirmed        boolean NOT NULL DEFAULT false,
    ADD COLUMN resends            int     NOT NULL DEFAULT 0,
    ADD COLUMN last_written       timestamptz,
    -- the newest file published for the peer
    ADD COLUMN last_file          text    NOT NULL DEFAULT '',
    -- the running number of the last beacon
    ADD COLUMN beacons            int     NOT NULL DEFAULT 0,
    -- what the peer's newest manifest told of our bundles
    ADD COLUMN seen_incarnation   text    NOT NULL DEFAULT '',
    ADD COLUMN seen_no            bigint  NOT NULL DEFAULT 0,
    ADD COLUMN peer_missing       json    NOT NULL DEFAULT '[]',
    ADD COLUMN peer_rejected      json    NOT NULL DEFAULT '[]',
    ADD COLUMN peer_understands   json    NOT NULL DEFAULT '[]',
    -- what a restored peer lost and is to get again
    ADD COLUMN rewind_seq         bigint  NOT NULL DEFAULT 0,
    ADD COLUMN rewind_no          bigint  NOT NULL DEFAULT 0,
    -- a link that people ended keeps its cursors, in case it is added again
    ADD COLUMN removed_at         timestamptz;

-- A number is made as often as it is wanted; its content stays the same.
ALTER TABLE outbound_bundles
    ADD COLUMN makings    int    NOT NULL DEFAULT 0,
    ADD COLUMN made_at    timestamptz,
    ADD COLUMN made_no    bigint NOT NULL DEFAULT 0,
    ADD COLUMN made_heard bigint NOT NULL DEFAULT 0;
UPDATE outbound_bundles SET makings = 1, made_at = published_at WHERE published_at IS NOT NULL;
CREATE INDEX outbound_bundles_through ON outbound_bundles (peer, epoch, through);

-- upgrade, or empty
ALTER TABLE inbound_bundles ADD COLUMN code text NOT NULL DEFAULT '';

ALTER TABLE quarantined_files
    ADD COLUMN epoch      text    NOT NULL DEFAULT '',
    ADD COLUMN seq        bigint  NOT NULL DEFAULT 0,
    -- a trusted peer's signature was found good: peer, epoch and seq are true
    ADD COLUMN signed     boolean NOT NULL DEFAULT false,
    ADD COLUMN decided    text    NOT NULL DEFAULT '' CONSTRAINT quarantined_files_decided
               CHECK (decided IN ('', 'released', 'rejected')),
    ADD COLUMN decided_by text    NOT NULL DEFAULT '',
    ADD COLUMN decided_at timestamptz;
CREATE INDEX quarantined_files_signed ON quarantined_files (peer, epoch, seq) WHERE signed;

-- Two people decide that an event which the peer refused is withheld from it.
CREATE TABLE withholdings (
    peer         text        NOT NULL COLLATE "C",
    epoch        text        NOT NULL,
    position     bigint      NOT NULL,
    proposed_by  text        NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_by text,
    confirmed_at timestamptz,
    CONSTRAINT withholdings_pkey PRIMARY KEY (peer, epoch, position),
    CONSTRAINT withholdings_two_people CHECK (confirmed_by <> proposed_by)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON withholdings TO sallyport_app;

-- +goose Down
DROP TABLE withholdings;
DROP INDEX quarantined_files_signed;
ALTER TABLE quarantined_files DROP COLUMN epoch, DROP COLUMN seq, DROP COLUMN signed,
    DROP COLUMN decided, DROP COLUMN decided_by, DROP COLUMN decided_at;
ALTER TABLE inbound_bundles DROP COLUMN code;
DROP INDEX outbound_bundles_through;
ALTER TABLE outbound_bundles DROP COLUMN makings, DROP COLUMN made_at, DROP COLUMN made_no, DROP COLUMN made_heard;
ALTER TABLE links DROP COLUMN export_fence, DROP COLUMN told, DROP COLUMN owes, DROP COLUMN unconfirmed, DROP COLUMN resends,
    DROP COLUMN last_written, DROP COLUMN last_file, DROP COLUMN beacons, DROP COLUMN seen_incarnation, DROP COLUMN seen_no, DROP COLUMN peer_missing,
    DROP COLUMN peer_rejected, DROP COLUMN peer_understands, DROP COLUMN rewind_seq, DROP COLUMN rewind_no, DROP COLUMN removed_at;
