#!/bin/sh
# make-secrets.sh DIR DATABASE_HOST: makes a site's secrets in DIR, each file once and for ever.
#
#   DIR/postgres   read by PostgreSQL (user 999) when it sets its roles up
#   DIR/program    read by sallyport (user 65532): how to reach the database, as the program and as the schema's owner
#
# A start that was interrupted is completed by the next one: the DSNs are made from the passwords, which are written by a rename.
set -eu
umask 077
dir=$1 host=$2

password() { # password NAME
	[ -s "$dir/postgres/$1" ] && return
	od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$dir/postgres/.$1"
	mv "$dir/postgres/.$1" "$dir/postgres/$1"
}

dsn() { # dsn FILE ROLE PASSWORD_FILE
	printf 'postgres://%s:%s@%s:5432/sallyport?sslmode=disable' "$2" "$(cat "$dir/postgres/$3")" "$host" >"$dir/program/.$1"
	mv "$dir/program/.$1" "$dir/program/$1"
}

mkdir -p "$dir/postgres" "$dir/program"
password superuser_password
password owner_password
password program_password
dsn database_url sallyport program_password
dsn database_migrate_url sallyport_owner owner_password
if [ "$(id -u)" = 0 ]; then
	chown -R 999:999 "$dir/postgres"
	chown -R 65532:65532 "$dir/program"
	chmod 755 "$dir"
fi
