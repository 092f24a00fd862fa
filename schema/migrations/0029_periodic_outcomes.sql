-- What a periodic job did is said for programs too, and so in any language.

-- +goose Up
ALTER TABLE periodic_runs
    ADD COLUMN result_code text  NOT NULL DEFAULT '' COLLATE "C", -- empty: it failed, or did nothing yet
    ADD COLUMN figures     jsonb NOT NULL DEFAULT '{}';           -- the numbers that the code speaks of

-- +goose Down
ALTER TABLE periodic_runs DROP COLUMN result_code, DROP COLUMN figures;
