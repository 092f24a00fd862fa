#!/bin/bash
# Runs once, when a PostgreSQL volume is empty: the two logins that sallyport uses. The owner changes the schema; the program has
# no more than the schema grants to sallyport_app, so it cannot change or delete an event.
set -euo pipefail
secrets=${SALLYPORT_SECRETS:-/run/site/postgres}

# The passwords go in by standard input: an argument would be in the process list. They are hex, so they need no quoting.
psql -v ON_ERROR_STOP=1 --no-psqlrc -q --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<SQL
create role sallyport_app nologin;
create role sallyport login password '$(cat "$secrets/program_password")' in role sallyport_app;
create role sallyport_owner login password '$(cat "$secrets/owner_password")';
alter database "$POSTGRES_DB" owner to sallyport_owner;
revoke all on database "$POSTGRES_DB" from public;
grant connect on database "$POSTGRES_DB" to sallyport_app;
alter schema public owner to sallyport_owner;
SQL
