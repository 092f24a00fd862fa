-- A read model that is made anew is filled first and indexed then, which costs
-- half of what putting each row into each index does.

-- +goose Up

-- Makes empty tables like the live ones, with their grants, without indexes.
-- +goose StatementBegin
CREATE FUNCTION rebuild_tables(models text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    live record;
    part record;
BEGIN
    FOR live IN SELECT relname, reloptions, relacl FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'readmodel'::regnamespace AND relname = ANY (models)
    LOOP
        EXECUTE format('CREATE TABLE readmodel_rebuild.%1$I (LIKE readmodel.%1$I INCLUDING ALL EXCLUDING INDEXES)', live.relname)
            || coalesce(' WITH (' || array_to_string(live.reloptions, ', ') || ')', '');
        FOR part IN SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
            FROM aclexplode(live.relacl)
        LOOP
            EXECUTE format('GRANT %s ON readmodel_rebuild.%I TO %s', part.privilege_type, live.relname, part.grantee);
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Gives them the indexes of the live ones, under their names. What keeps read
-- models relies on these: it puts rows into tables that have them.
-- +goose StatementBegin
CREATE FUNCTION rebuild_index(models text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    live record;
    part record;
BEGIN
    FOR live IN SELECT oid, relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'readmodel'::regnamespace AND relname = ANY (models)
    LOOP
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

REVOKE ALL ON FUNCTION rebuild_tables(text[]), rebuild_index(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rebuild_tables(text[]), rebuild_index(text[]) TO sallyport_app;

-- rebuild_begin, which does both, stays for programs that do not know these.

-- +goose Down
DROP FUNCTION rebuild_tables(text[]), rebuild_index(text[]);
