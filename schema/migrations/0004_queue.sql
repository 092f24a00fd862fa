-- The work queue's tables are its library's own; the program may use them.

-- +goose Up
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sallyport_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sallyport_app;
REVOKE UPDATE, DELETE ON events, withheld FROM sallyport_app;
REVOKE DELETE ON log_head FROM sallyport_app;
REVOKE INSERT, UPDATE, DELETE ON goose_db_version, river_migration FROM sallyport_app;

-- +goose Down
SELECT 1;
