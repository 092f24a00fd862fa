#!/usr/bin/env bash
# Makes sure that tests find a redis-server and Chromium, and says what it did, from where and in how long. Prints, as its only line on
# stdout, the folder to put in front of PATH (empty when nothing needs adding):
#
#   PATH="$(scripts/setup-test.sh):$PATH" go test ./...
#
# In this order: one that is here already; Debian's package installed (root) or unpacked into .cache/redis (anyone else); none,
# and then the tests that need Redis run on the in-process implementation alone and say so. PostgreSQL needs nothing here: tests
# use the server programs of the machine or download them once. No service is started or stopped.
#
# The console is tested in Chromium, which Debian's package brings (root). Without it those tests fail and say what to install.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
unpacked=$root/.cache/redis
began=$SECONDS

say() { echo "setup: $*" >&2; }

found() { PATH="$PATH:/usr/bin:/usr/local/bin:/opt/homebrew/bin" command -v redis-server; }

# quietly runs a command and shows its output only when it fails.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	[ "$status" = 0 ] || tail -n 20 "$log" >&2
	rm -f "$log"
	return "$status"
}

# debian gets packages of Debian as root, with the lists of packages brought up to date once.
updated=
debian() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	[ -n "$updated" ] || quietly apt-get update || return 1
	updated=yes
	quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# Debian starts a service it installs, unless policy-rc.d says no, and at every boot. Ours says no for the time of the install; one
# that is there already is the machine owner's and stays in force.
install_redis() {
	local policy=/usr/sbin/policy-rc.d ours= status=0
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && ours=$policy
	fi
	debian redis-server || status=$?
	[ -z "$ours" ] || rm -f "$ours"
	if [ "$status" = 0 ] && [ -d /run/systemd/system ]; then
		quietly systemctl disable redis-server || say "redis-server will start at boot: systemctl disable redis-server"
	fi
	return "$status"
}

# redis-server of Debian is a symbolic link to redis-check-rdb, a program of redis-tools, which needs these libraries.
unpack_as_user() {
	local packages
	packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances redis-server |
		grep -E '^(redis|libjemalloc|liblua5|liblzf|libhiredis|libatomic|lua-)' | sort -u) || return 1
	mkdir -p "$unpacked/deb" && cd "$unpacked/deb"
	# shellcheck disable=SC2086 # a list of package names
	quietly apt-get download $packages || return 1
	local deb
	for deb in *.deb; do dpkg -x "$deb" "$unpacked"; done
	rm -rf "$unpacked/deb" "$unpacked/bin"
	mkdir "$unpacked/bin"
	local libs program
	libs=$(find "$unpacked" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
	for program in redis-server redis-cli redis-benchmark; do
		printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s/usr/bin/%s" "$@"\n' "$libs" "$unpacked" "$program" >"$unpacked/bin/$program"
		chmod 755 "$unpacked/bin/$program"
	done
	quietly "$unpacked/bin/redis-server" --version
}

# The reader of bundles that shares no code with ours (bridge/bundle/testdata/reader.sh) is made of these. Without them its test
# says so and reads nothing. strace has a disk fail; without it its test says so and nothing fails.
test_tools() {
	local tool missing=
	for tool in jq openssl zstd xxd strace; do command -v "$tool" >/dev/null || missing+=" $tool"; done
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086 # a list of package names, which are those of the programs
	if debian $missing; then
		say "installed$missing"
	else
		say "not here:$missing; bundles are read by our own reader alone, or no disk fails"
	fi
}
test_tools

browser() {
	local name
	for name in headless_shell headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
		if command -v "$name" >/dev/null; then
			say "a browser is here: $(command -v "$name")"
			return
		fi
	done
	if debian chromium fonts-noto-core; then
		say "chromium installed from the Debian package in $((SECONDS - began)) s: $(command -v chromium)"
	else
		say "no browser: the tests of api/console fail; install one: apt-get install chromium (Debian), or Google Chrome"
	fi
}
browser

if at=$(found); then
	say "redis-server is here: $at"
elif [ -x "$unpacked/bin/redis-server" ]; then
	say "redis-server is here: $unpacked/bin/redis-server, unpacked earlier"
	echo "$unpacked/bin"
elif ! command -v apt-get >/dev/null; then
	say "no redis-server and no apt-get: tests use the in-process cache alone; install redis-server to test Redis too"
elif [ "$(id -u)" = 0 ] && install_redis; then
	say "redis-server installed from the Debian package redis-server in $((SECONDS - began)) s: $(found)"
elif [ "$(id -u)" != 0 ] && (unpack_as_user); then
	say "redis-server unpacked from the Debian package redis-server into $unpacked in $((SECONDS - began)) s"
	echo "$unpacked/bin"
else
	say "no redis-server and installing it failed: tests use the in-process cache alone; install redis-server to test Redis too"
fi
