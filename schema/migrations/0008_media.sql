-- +goose Up

-- What lies on which medium, as it was last proven there: what need not be
-- carried any more, and what may be wiped once the peer has it. A row goes when
-- its medium comes back without the file.
CREATE TABLE media_bundles (
    medium      text        NOT NULL,
    file        text        NOT NULL COLLATE "C",
    peer        text        NOT NULL COLLATE "C",
    serial      text        NOT NULL,
    sha256      text        NOT NULL,
    operator    text        NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT media_bundles_pkey PRIMARY KEY (medium, file)
);

CREATE INDEX media_bundles_file ON media_bundles (file, written_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON media_bundles TO sallyport_app;

-- +goose Down
DROP TABLE media_bundles;
