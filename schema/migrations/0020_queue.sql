-- The work queue at speed: jobs are found and completed cheaply.

-- +goose Up

-- The library brings two GIN indexes for people who search in its own screens.
-- They cost more than half of what making and completing a job costs, because a
-- change of a job's state changes each index. Here jobs are found by the
-- request that they are to answer.
DROP INDEX river_job_args_index;
DROP INDEX river_job_metadata_index;
CREATE INDEX river_job_request ON river_job ((args->>'request')) WHERE kind = 'answer';

-- Completes jobs that their callers attempted last, and fails unless all are
-- still theirs, which fails the callers' transaction.
-- +goose StatementBegin
CREATE FUNCTION complete_jobs(jobs bigint[], tried int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    completed bigint;
BEGIN
    UPDATE river_job AS j SET state = 'completed', finalized_at = now()
    FROM unnest(jobs, tried) AS t(id, attempt)
    WHERE j.id = t.id AND j.attempt = t.attempt AND j.state = 'running';
    GET DIAGNOSTICS completed = ROW_COUNT;
    IF completed <> cardinality(jobs) THEN
        RAISE EXCEPTION 'a job was given to another worker meanwhile' USING ERRCODE = 'SP002';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX river_job_request;
CREATE INDEX river_job_metadata_index ON river_job USING gin (metadata);
CREATE INDEX river_job_args_index ON river_job USING gin (args);
DROP FUNCTION complete_jobs(bigint[], int[]);
