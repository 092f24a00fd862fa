-- Read models are made anew beside the live ones, which then are swapped.

-- +goose Up

-- Where tables are made anew, and where those lie that were replaced, until
-- they are dropped. Both are empty unless a rebuild is running or was killed.
CREATE SCHEMA readmodel_rebuild;
CREATE SCHEMA readmodel_replaced;
GRANT USAGE ON SCHEMA readmodel_rebuild TO sallyport_app;

-- What a line tells: its data, which by the line's form are its last member and
-- the first to be called so, because a quotation mark within a text is escaped.
-- They are cut out as bytes, which costs a seventh of cutting text; a rebuild does
-- little else. Neither text nor json of PostgreSQL takes a zero character: an escape
-- of one becomes one of U+FFFD; "u0000" after an escaped backslash is none.
-- +goose StatementBegin
CREATE FUNCTION event_data(line text) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN position('\x5c7530303030'::bytea IN convert_to(line, 'UTF8')) = 0
        THEN convert_from(substring(convert_to(line, 'UTF8')
            FROM position('\x2c2264617461223a'::bytea IN convert_to(line, 'UTF8')) + 8
            FOR length(convert_to(line, 'UTF8')) - position('\x2c2264617461223a'::bytea IN convert_to(line, 'UTF8')) - 8), 'UTF8')
        ELSE left(substr(regexp_replace(line, '(?<!\\)((?:\\\\)*)\\u0000', '\1\ufffd', 'g'), strpos(line, ',"data":') + 8), -1)
        END::json
$$;
-- +goose StatementEnd

-- When each table of readmodel was last made anew.
CREATE TABLE rebuilds (
    model      text        NOT NULL COLLATE "C",
    number     bigint      NOT NULL, -- grows with each swap, so that others notice
    seq        bigint      NOT NULL, -- of the log, when it was swapped
    rebuilt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    took_ms    bigint      NOT NULL,
    CONSTRAINT rebuilds_pkey PRIMARY KEY (model)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON rebuilds TO sallyport_app;

-- The program may write into read models but make and drop nothing. These
-- functions, which run with their owner's rights, do for it just what a rebuild
-- needs, on tables of these three schemas; whoever may empty a read model gains
-- nothing by them.

-- Drops what a rebuild left behind, whether it was done or killed.
-- +goose StatementBegin
CREATE FUNCTION rebuild_clear() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leftover regclass;
BEGIN
    FOR leftover IN SELECT oid::regclass FROM pg_class
        WHERE relkind = 'r' AND relnamespace IN ('readmodel_rebuild'::regnamespace, 'readmodel_replaced'::regnamespace)
    LOOP
        EXECUTE format('DROP TABLE %s', leftover);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Makes empty tables like the live ones, with their grants, and with their
-- indexes under their names.
-- +goose StatementBegin
CREATE FUNCTION rebuild_begin(models text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    live record;
    part record;
BEGIN
    FOR live IN SELECT oid, relname, reloptions, relacl FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'readmodel'::regnamespace AND relname = ANY (models)
    LOOP
        EXECUTE format('CREATE TABLE readmodel_rebuild.%1$I (LIKE readmodel.%1$I INCLUDING ALL EXCLUDING INDEXES)', live.relname)
            || coalesce(' WITH (' || array_to_string(live.reloptions, ', ') || ')', '');
        FOR part IN SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
            FROM aclexplode(live.relacl)
        LOOP
            EXECUTE format('GRANT %s ON readmodel_rebuild.%I TO %s', part.privilege_type, live.relname, part.grantee);
        END LOOP;
        FOR part IN SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
            WHERE conrelid = live.oid AND contype IN ('p', 'u', 'x')
        LOOP
            EXECUTE format('ALTER TABLE readmodel_rebuild.%I ADD CONSTRAINT %I %s', live.relname, part.conname, part.definition);
        END LOOP;
        FOR part IN SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index
            WHERE indrelid = live.oid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        LOOP
            EXECUTE replace(part.definition, ' ON readmodel.', ' ON readmodel_rebuild.');
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Tells the planner what is in tables that were filled.
-- +goose StatementBegin
CREATE FUNCTION rebuild_analyze(models text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    model text;
BEGIN
    FOREACH model IN ARRAY models LOOP
        EXECUTE format('ANALYZE readmodel_rebuild.%I', model);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Puts tables in the place of the live ones. Waiting for those who read them
-- holds up all who want to read them next, so that it is given up after 100 ms
-- in all, with lock_not_available.
-- +goose StatementBegin
CREATE FUNCTION rebuild_swap(models text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    model text;
    until timestamptz := clock_timestamp() + interval '100 ms';
    columns CONSTANT text := 'SELECT string_agg(concat_ws('' '', attname, atttypid, attnotnull, attcollation), '','' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped';
    there text;
    made text;
BEGIN
    FOREACH model IN ARRAY models LOOP
        PERFORM set_config('lock_timeout', greatest(1, ceil(1000 * extract(epoch FROM until - clock_timestamp())))::bigint || 'ms', true);
        EXECUTE format('LOCK TABLE readmodel.%I IN ACCESS EXCLUSIVE MODE', model);
    END LOOP;
    FOREACH model IN ARRAY models LOOP
        EXECUTE columns INTO there USING format('readmodel.%I', model);
        EXECUTE columns INTO made USING format('readmodel_rebuild.%I', model);
        IF there <> made THEN
            RAISE EXCEPTION 'the table % was changed by a migration while it was made anew', model USING ERRCODE = 'SP003';
        END IF;
        EXECUTE format('ALTER TABLE readmodel.%I SET SCHEMA readmodel_replaced', model);
        EXECUTE format('ALTER TABLE readmodel_rebuild.%I SET SCHEMA readmodel', model);
    END LOOP;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION rebuild_clear(), rebuild_begin(text[]), rebuild_analyze(text[]), rebuild_swap(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rebuild_clear(), rebuild_begin(text[]), rebuild_analyze(text[]), rebuild_swap(text[]) TO sallyport_app;

-- +goose Down
DROP FUNCTION rebuild_clear(), rebuild_begin(text[]), rebuild_analyze(text[]), rebuild_swap(text[]);
DROP FUNCTION event_data(text);
DROP TABLE rebuilds;
DROP SCHEMA readmodel_rebuild CASCADE;
DROP SCHEMA readmodel_replaced CASCADE;
