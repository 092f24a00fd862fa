-- A program that is alone on the log need not ask where it ends.

-- +goose Up

-- Takes the head's lock if the log is just as the caller expects it, and fails
-- otherwise, which fails the caller's transaction. A version of 0 says that the
-- stream does not exist. Its statements have snapshots of their own, so that
-- the second one sees what was committed before the lock was got.
-- +goose StatementBegin
CREATE FUNCTION log_expect(expected_epoch text, expected_seq bigint, expected_chain bytea, writer int, streams text[], versions bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own text;
BEGIN
    SELECT site INTO own FROM log_head
    WHERE seq = expected_seq AND chain = expected_chain AND epoch = expected_epoch AND read_only IS NULL AND min_writer <= writer
    FOR UPDATE;
    IF NOT FOUND OR EXISTS (
        SELECT FROM unnest(streams, versions) AS s(stream, ver)
        LEFT JOIN LATERAL (SELECT e.origin, e.ver FROM events AS e WHERE e.stream = s.stream ORDER BY e.ver DESC LIMIT 1) AS l ON true
        WHERE coalesce(l.ver, 0) <> s.ver OR l.origin <> own)
    THEN
        RAISE EXCEPTION 'the log is not as its writer foresaw' USING ERRCODE = 'SP001';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION log_expect(text, bigint, bytea, int, text[], bigint[]);
