-- What was said of single users, and profiles that were retired.

-- +goose Up

ALTER TABLE readmodel.users
    -- the limits that are the user's own; those that are not in it are the profile's
    ADD COLUMN limits jsonb NOT NULL DEFAULT '{}',
    -- what was said of single request types: {"blocked":true}, or what was granted, under each name
    ADD COLUMN access jsonb NOT NULL DEFAULT '{}';
CREATE INDEX users_profile ON readmodel.users (profile);

-- NULL: the profile was retired
ALTER TABLE readmodel.profiles ALTER COLUMN definition DROP NOT NULL;

-- +goose Down
DELETE FROM readmodel.profiles WHERE definition IS NULL;
ALTER TABLE readmodel.profiles ALTER COLUMN definition SET NOT NULL;
DROP INDEX readmodel.users_profile;
ALTER TABLE readmodel.users DROP COLUMN limits, DROP COLUMN access;
