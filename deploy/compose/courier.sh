#!/bin/sh
# courier.sh DIR [once]: the person with the storage medium, every two seconds for ever, or once.
#
#   DIR/field/outbox ──► DIR/core/inbox        DIR/field/cards/own ──► DIR/core/cards/peer
#   DIR/core/outbox ──► DIR/field/inbox        DIR/core/cards/own ──► DIR/field/cards/peer
#
# A bundle is copied under a name that begins with a dot, written to the disk, renamed, and only then deleted at its source: killed
# anywhere, the courier leaves it at its source or at both ends, never at neither, and the next round does it again. Receiving a
# bundle twice changes nothing. Files that do not look like finished bundles stay where they are.
set -eu
umask 077
dir=$1 mode=${2:-}

deliver() { # deliver FILE FOLDER
	temporary="$2/.carrying-${1##*/}"
	cp "$1" "$temporary" && sync && mv "$temporary" "$2/${1##*/}"
}

bundles() { # bundles OUTBOX INBOX
	for file in "$1"/sp1_*.jsonl.zst "$1"/sp1_*.jsonl.zst.age; do
		[ -f "$file" ] && [ ! -L "$file" ] || continue
		if deliver "$file" "$2" && rm "$file"; then echo "carried ${file##*/}"; else failed=yes; fi
	done
}

card() { # card OWN PEER
	[ -s "$1/site-card.json" ] || return 0
	cmp -s "$1/site-card.json" "$2/site-card.json" && return 0
	if deliver "$1/site-card.json" "$2"; then echo "carried a site card to $2"; else failed=yes; fi
}

round() {
	failed=no
	card "$dir/field/cards/own" "$dir/core/cards/peer"
	card "$dir/core/cards/own" "$dir/field/cards/peer"
	bundles "$dir/field/outbox" "$dir/core/inbox"
	bundles "$dir/core/outbox" "$dir/field/inbox"
	[ "$failed" = no ] || echo "courier: not everything was carried; the rest is still at its source and goes with the next round" >&2
	[ "$failed" = no ]
}

if [ "$mode" = once ]; then
	round
	exit
fi
trap exit TERM INT
while :; do
	round || :
	sleep 2
done
