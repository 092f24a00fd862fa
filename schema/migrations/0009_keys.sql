-- Which keys sign and which are believed, while they change.

-- +goose Up

-- The rotations of this site's own signing key. The last row decides which key
-- signs; the files of the keys follow it.
CREATE TABLE key_rotations (
    no           bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    old_key      text        NOT NULL,
    new_key      text        NOT NULL,
    begun_by     text        NOT NULL,
    begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_by  text,
    finished_at  timestamptz,
    CONSTRAINT key_rotations_pkey PRIMARY KEY (no)
);
CREATE UNIQUE INDEX key_rotations_one_at_a_time ON key_rotations ((true)) WHERE finished_at IS NULL;

-- The first manifest that told a peer of the new key. Every later one of that
-- incarnation told it too: a peer that counted one of them knows the key.
CREATE TABLE key_announcements (
    rotation     bigint NOT NULL,
    peer         text   NOT NULL COLLATE "C",
    incarnation  text   NOT NULL,
    no           bigint NOT NULL,
    CONSTRAINT key_announcements_pkey PRIMARY KEY (rotation, peer),
    CONSTRAINT key_announcements_rotation FOREIGN KEY (rotation) REFERENCES key_rotations (no)
);

-- The keys of a peer that are not, or not any more, the one on its card. A
-- next one is believed, a retired one never, a revoked one up to a number.
CREATE TABLE link_keys (
    peer         text        NOT NULL COLLATE "C",
    key          text        NOT NULL,
    state        text        NOT NULL CONSTRAINT link_keys_state CHECK (state IN ('next', 'retired', 'revoked')),
    epoch        text        NOT NULL,
    -- revoked: the last bundle's number that it is believed for
    last_valid   bigint      NOT NULL DEFAULT 0,
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT link_keys_pkey PRIMARY KEY (peer, key)
);
CREATE UNIQUE INDEX link_keys_one_next ON link_keys (peer) WHERE state = 'next';

GRANT SELECT, INSERT, UPDATE, DELETE ON key_rotations, key_announcements, link_keys TO sallyport_app;

-- +goose Down
DROP TABLE link_keys, key_announcements, key_rotations;
