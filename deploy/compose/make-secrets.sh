#!/bin/sh
# make-secrets.sh DIR OWNER_DIR DATABASE_HOST: makes a site's secrets, each file once and for ever.
#
#   DIR/postgres   read by PostgreSQL (user 999) when it sets its roles up
#   DIR/program    read by sallyport (user 65532): how to reach the database as the program
#   OWNER_DIR      read by `sallyport init` alone (user 65532): how to reach it as the schema's owner
#
# A start that was interrupted is completed by the next one: the DSNs are made from the passwords, which are written by a rename.
set -eu
umask 077
dir=$1 owner=$2 host=$3

password() { # password NAME
	[ -s "$dir/postgres/$1" ] && return
	od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$dir/postgres/.$1"
	mv "$dir/postgres/.$1" "$dir/postgres/$1"
}

dsn() { # dsn FOLDER FILE ROLE PASSWORD_FILE
	printf 'postgres://%s:%s@%s:5432/sallyport?sslmode=disable' "$3" "$(cat "$dir/postgres/$4")" "$host" >"$1/.$2"
	mv "$1/.$2" "$1/$2"
}

mkdir -p "$dir/postgres" "$dir/program" "$owner"
password superuser_password
password owner_password
password program_password
dsn "$dir/program" database_url sallyport program_password
dsn "$owner" database_migrate_url sallyport_owner owner_password
if [ "$(id -u)" = 0 ]; then
	chown -R 999:999 "$dir/postgres"
	chown -R 65532:65532 "$dir/program" "$owner"
	chmod 755 "$dir"
	chmod 700 "$owner"
fi
