#!/usr/bin/env bash
# Runs the tests of the elasticsearch responder on real engines: fetches each with Maven into .cache/search, starts it on the
# loopback with its data in a temporary folder, tests, and ends it. Needs a JDK (17, and 21 for OpenSearch 3 and Elasticsearch
# 9), Maven, unzip and Go, and says what is missing. An engine whose Java is missing is left out, and that is said; none at all is a
# failure. With names it runs those alone:
#
#   scripts/test-search.sh OpenSearch-3 Elasticsearch-8
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/scripts/search-engine
work=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-search.XXXXXX")
engine=
trap 'stop; rm -rf "$work"' EXIT

# What starting may take on a busy machine, in seconds.
start_limit=600

say() { echo "test-search: $*"; }

# stop ends the engine by the end of its standard input, and waits for it.
stop() {
	[ -n "$engine" ] || return 0
	exec 9>&-
	wait "$engine" 2>/dev/null || true
	engine=
}

# jdk prints the newest JDK's java that is at least so new.
jdk() {
	local least=$1 best=0 found='' java version
	for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
		[ -x "$java" ] && [ -x "$(dirname "$(readlink -f "$java")")/javac" ] || continue
		version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
		if [ "${version:-0}" -ge "$least" ] && [ "$version" -gt "$best" ]; then best=$version found=$java; fi
	done
	echo "$found"
}

# fetch puts an engine's files into .cache, once.
fetch() {
	local pom=$1 version=$2 into=$3
	[ ! -e "$into/complete" ] || return 0
	say "fetching $(basename "$into") with Maven"
	rm -rf "$into"
	if ! mvn -q -B -f "$pom" -Dengine.version="$version" dependency:copy-dependencies -DoutputDirectory="$into" >"$work/mvn.log" 2>&1; then
		tail -n 20 "$work/mvn.log"
		say "Maven could not fetch $(basename "$into"): see above"
		return 1
	fi
	touch "$into/complete"
}

# home lays out what an engine's files must look like: an Elasticsearch loads its HTTP server as a module, out of a folder with a
# description of it, and is itself on Java's module path. Sets options.
home() {
	local lib=$1 into=$2 module=$2/modules/transport-netty4 jar
	if [ "$3" = OpenSearch ]; then
		options=(-cp "$lib/*")
		return
	fi
	mkdir -p "$module" "$into/config" "$into/core"
	for jar in "$lib"/*.jar; do
		case $(basename "$jar") in
		netty-* | transport-netty4-*) ln -s "$jar" "$module/" ;;
		*) ln -s "$jar" "$into/core/" ;;
		esac
	done
	unzip -q -p "$module"/transport-netty4-*.jar META-INF/es-plugins/transport-netty4/plugin-descriptor.properties >"$module/plugin-descriptor.properties"
	options=(--module-path "$into/core" --add-modules ALL-MODULE-PATH)
}

# start runs an engine and sets url and what.
start() {
	local java=$1 lib=$2 name=$3 folder=$work/home log=$work/engine.log waited=0
	rm -rf "$folder" "$work/in" && mkdir "$folder" && mkfifo "$work/in"
	home "$lib" "$folder" "$name"
	(cd "$folder" && exec "$java" -Xmx768m "${options[@]}" "$here/$name.java" "$folder") <"$work/in" >"$log" 2>&1 &
	engine=$!
	exec 9>"$work/in"
	until read -r _ url what < <(grep '^listening ' "$log"); do
		if ! kill -0 "$engine" 2>/dev/null || [ $((waited += 1)) -gt $((start_limit * 2)) ]; then
			tail -n 20 "$log"
			say "the engine did not start: see above"
			return 1
		fi
		sleep 0.5
	done
}

# try tests on one engine.
try() {
	local name=$1 version=$2 least=$3 began=$SECONDS java lib=$root/.cache/search/$1-$2
	java=$(jdk "$least")
	if [ -z "$java" ]; then
		say "$name $version is left out: it needs a JDK of version $least or newer (Debian: openjdk-21-jdk-headless)"
		return 0
	fi
	fetch "$here/$name.xml" "$version" "$lib"
	start "$java" "$lib" "$name"
	say "$what is up after $((SECONDS - began)) s"
	if ! SALLYPORT_TEST_SEARCH=$url go test -count=1 -timeout 10m -v "$root/responders/searchresponder" >"$work/test.log" 2>&1; then
		grep -vE '^ *(=== |--- PASS)' "$work/test.log" || true
		say "$what: FAILED"
		return 1
	fi
	say "$what: $(grep -cE '^ *--- PASS' "$work/test.log") tests passed, $(grep -cE '^ *--- SKIP' "$work/test.log" || true) left out, in $((SECONDS - began)) s"
	stop
	tried=$((tried + 1))
}

cd "$root"
for tool in mvn go unzip; do
	command -v $tool >/dev/null || { say "$tool is missing: install it (Debian: maven, golang, unzip) and run this again"; exit 1; }
done
tried=0
for each in "${@:-OpenSearch-2 OpenSearch-3 Elasticsearch-8 Elasticsearch-9}"; do
	for name in $each; do
		case $name in
		OpenSearch-2) try OpenSearch 2.19.1.0 17 ;;
		OpenSearch-3) try OpenSearch 3.8.0.0 21 ;;
		Elasticsearch-8) try Elasticsearch 8.19.21 17 ;;
		Elasticsearch-9) try Elasticsearch 9.5.3 21 ;;
		*) say "$name is none of OpenSearch-2, OpenSearch-3, Elasticsearch-8, Elasticsearch-9"; exit 2 ;;
		esac
	done
done
if [ "$tried" = 0 ]; then
	say "no engine was tried: nothing is proved"
	exit 1
fi
say "all passed on $tried engines"
