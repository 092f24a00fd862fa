-- Request types that change and are retired, profiles that come back, settings.

-- +goose Up

ALTER TABLE readmodel.request_types ADD COLUMN retired boolean NOT NULL DEFAULT false;
ALTER TABLE readmodel.profiles ADD COLUMN retired boolean NOT NULL DEFAULT false;

-- What a retired profile was is kept from now on, so that it can be brought back.
UPDATE readmodel.profiles AS p SET retired = true, definition = (
    SELECT e.line::json -> 'data' FROM events AS e
    WHERE e.stream = 'profile-' || p.name AND e.type IN ('profile.defined', 'profile.changed') ORDER BY e.pos DESC LIMIT 1)
WHERE definition IS NULL;
-- NULL: it was retired, and what it was did not get here.
ALTER TABLE readmodel.request_types ALTER COLUMN definition DROP NOT NULL;

-- NULL: the responder was disabled.
ALTER TABLE readmodel.responder_configs ALTER COLUMN definition DROP NOT NULL;

-- Each version of a request type, for ever: requests say by which they were asked.
CREATE TABLE readmodel.request_type_versions (
    name         text   NOT NULL COLLATE "C",
    version      int    NOT NULL,
    definition   json   NOT NULL,
    pos          bigint NOT NULL,
    CONSTRAINT request_type_versions_pkey PRIMARY KEY (name, version)
);
INSERT INTO readmodel.request_type_versions (name, version, definition, pos)
SELECT substr(stream, length('requesttype-') + 1), (line::json -> 'data' ->> 'version')::int, line::json -> 'data', pos
FROM events WHERE type = 'requesttype.defined' AND stream LIKE 'requesttype-%';

CREATE TABLE readmodel.settings (
    key          text   NOT NULL COLLATE "C",
    definition   json,  -- NULL: the setting was removed
    pos          bigint NOT NULL,
    CONSTRAINT settings_pkey PRIMARY KEY (key)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.request_type_versions, readmodel.settings TO sallyport_app;

-- +goose Down
DROP TABLE readmodel.settings, readmodel.request_type_versions;
DELETE FROM readmodel.responder_configs WHERE definition IS NULL;
ALTER TABLE readmodel.responder_configs ALTER COLUMN definition SET NOT NULL;
DELETE FROM readmodel.request_types WHERE retired;
ALTER TABLE readmodel.request_types ALTER COLUMN definition SET NOT NULL;
UPDATE readmodel.profiles SET definition = NULL WHERE retired;
ALTER TABLE readmodel.profiles DROP COLUMN retired;
ALTER TABLE readmodel.request_types DROP COLUMN retired;
