#!/bin/sh
# swap-cards.sh CARD DIR: offers this site's card to the courier in DIR/own and waits until it has brought the peer's to DIR/peer.
set -eu
card=$1 dir=$2
umask 077
mkdir -p "$dir/own" "$dir/peer"
cp "$card" "$dir/own/.site-card.json"
mv "$dir/own/.site-card.json" "$dir/own/site-card.json"
waited=0
until [ -s "$dir/peer/site-card.json" ]; do
	[ $((waited % 30)) -ne 0 ] || echo "waiting for the courier to bring the peer's site card"
	waited=$((waited + 1))
	sleep 1
done
echo "the peer's site card is here"
