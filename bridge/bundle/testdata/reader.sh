#!/usr/bin/env bash
# Reads a plain bundle as docs/bundle-format.md describes it and shares nothing with the Go code: bash, jq, openssl, zstd, xxd,
# sha256sum, iconv and grep. Tests hold the two readers against each other.
#
#   reader.sh FILE VERIFIER-KEY...     exit 0: every promise of the manifest is kept; 1: it is not, and stderr says why
#
# It keeps no secrets, writes only below a temporary folder of its own, and is slow: for files of a test, not of a site.
set -euo pipefail
export LC_ALL=C
file=$1 && shift
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
die() { echo "reader: $*" >&2 && exit 1; }
sha() { local sum && sum=$(sha256sum "$@") && echo "${sum%% *}"; }
slice() { tail -c "+$(($2 + 1))" "$1" | head -c "$3" || true; } # FILE OFFSET BYTES
little() { # FILE OFFSET BYTES: a little-endian number
	local hex le='' i
	hex=$(xxd -s "$2" -l "$3" -p "$1")
	[ ${#hex} = $(($3 * 2)) ] || die "ends inside a number"
	for ((i = ${#hex} - 2; i >= 0; i -= 2)); do le+=${hex:i:2}; done
	echo $((16#$le))
}

# A verifier key is NAME+HASH+BASE64 of (1, public key); its hash is the first 4 bytes of SHA-256(NAME, LF, 1, public key).
public() { # VERIFIER-KEY: writes the key as openssl wants it to $tmp/<name>+<hash>
	local name=${1%%+*} rest=${1#*+} b64=${1#*+*+}
	printf '%s' "$b64" | openssl base64 -d -A >"$tmp/raw" && [ "$(openssl base64 -A -in "$tmp/raw")" = "$b64" ] || die "key $name is not base64"
	[[ $(xxd -c 34 -p "$tmp/raw") =~ ^01[0-9a-f]{64}$ ]] || die "key $name is not Ed25519"
	[ "$( (printf '%s\n' "$name" && cat "$tmp/raw") | sha | cut -c1-8)" = "${rest%%+*}" ] || die "key $name has another hash"
	(echo 302a300506032b6570032100 | xxd -r -p && tail -c +2 "$tmp/raw") >"$tmp/$name+${rest%%+*}"
}

# The skippable frame and the note in it.
size=$(wc -c <"$file")
((size > 8 && size <= 256 << 20)) || die "too short or too long"
[ "$(xxd -l 4 -p "$file")" = 5b2a4d18 ] || die "does not begin as a bundle"
length=$(little "$file" 4 4)
((length > 0 && length <= 4 << 20 && length <= size - 8)) || die "length of the manifest"
slice "$file" 8 "$length" >"$tmp/note"
[ "$(tail -c 1 "$tmp/note" | xxd -p)" = 0a ] || die "note does not end with a line"
blank=$(grep -n '^$' "$tmp/note" | tail -n 1 | cut -d: -f1) || die "note has no blank line"
head -n $((blank - 1)) "$tmp/note" >"$tmp/text"
tail -n +$((blank + 1)) "$tmp/note" >"$tmp/signatures"

# The manifest: one form, known keys, rules.
if grep -q '[^ -~]' "$tmp/text"; then die "manifest is not ASCII"; fi
jq -s '
def count: type == "number" and floor == . and . >= 0 and . <= 9007199254740991;
def str($re): type == "string" and test("\\A(" + $re + ")\\z");
def hex($n): str("[0-9a-f]{\($n)}");
def ascending: . == unique;
def shape($k): type == "object" and keys_unsorted == $k;
if length == 1 and (.[0] | . as $m |
 shape(["core", "head", "payload", "frames", "ack", "signers", "next_key", "created_at"] | map(select(
   IN("core", "head", "payload", "frames", "signers", "created_at") or (. as $k | $m | has($k))))) and
 (.core | shape(["format", "kind", "from", "to", "epoch", "seq", "prev", "range", "chain", "plain_bytes", "plain_sha256"]) and
  .format == "sallyport-bundle/1" and (.from | str("[a-z0-9-]{1,32}")) and (.to | str("[a-z0-9-]{1,32}")) and (.from != .to or .kind == "audit") and
  (.epoch | hex(32)) and (.seq | count) and .seq <= 9999999999 and (.prev | str("|[0-9a-f]{64}")) and
  (.range | shape(["after", "through"]) and (.after | count) and (.through | count)) and
  (.chain | shape(["after", "through"]) and (.after | hex(64)) and (.through | hex(64))) and
  (if .kind == "beacon" then .range.after == .range.through and .chain.after == .chain.through
   elif .kind == "audit" then .seq == 0 and .prev == "" and .range.after < .range.through
   else (.kind | IN("data", "return")) and .seq > 0 and .range.after < .range.through end) and
  (.plain_bytes | count) and .plain_bytes > 0 and .plain_bytes <= 2147483648 and (.plain_sha256 | hex(64))) and
 (.head | shape(["position", "seq"]) and all(.[]; count)) and
 (.payload | shape(["bytes", "sha256"]) and (.bytes | count) and .bytes > 0 and (.sha256 | hex(64))) and
 (.frames | length > 0 and all(.[]; shape(["offset", "bytes", "plain_bytes", "first", "events", "sha256"]) and (.sha256 | hex(64)) and
   (del(.sha256) | all(.[]; count)) and .bytes > 0 and .plain_bytes > 0 and .plain_bytes <= 16777217)) and
 ([foreach .frames[] as $f ([0, 0, true]; [.[0] + $f.bytes, .[1] + $f.plain_bytes, .[2] and $f.offset == .[0]])] | last
   == [$m.payload.bytes, $m.core.plain_bytes, true]) and
 (has("ack") and .core.kind == "audit" | not) and
 (if has("ack") then .ack | (del(.seen) | shape(["epoch", "incarnation", "no", "seq", "position", "chain", "missing", "rejected", "understands"])) and
  (if has("seen") then (keys_unsorted | last) == "seen" and (.seen | shape(["incarnation", "no"]) and (.incarnation | hex(32)) and (.no | count) and .no > 0) else true end) and
  (.epoch | hex(32)) and (.incarnation | hex(32)) and ([.no, .seq, .position] | all(count)) and .no > 0 and (.chain | hex(64)) and
  (.missing | type == "array" and ascending and all(.[]; count and . > 0 and . <= 9999999999)) and
  (.rejected | type == "array" and (map(.seq) | ascending) and all(.[]; shape(["seq", "code"]) and (.seq | count) and
   (.code | IN("damaged", "incomplete", "gap", "duplicate", "fork", "untrusted", "refused", "upgrade")))) and
  (.understands | type == "array" and ascending and all(.[]; str("[a-z_]{1,64}[.][a-z_]{1,64}[.]v[1-9][0-9]{0,5}"))) else true end) and
 (.signers | length > 0 and length <= 16 and length == (unique | length) and all(.[]; str("[a-z0-9-]{1,32}[+][0-9a-f]{8}"))) and
 (if has("next_key") then .core.from == (.next_key | split("+")[0]) else true end) and
 (.created_at | str("[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}[.][0-9]{6}Z"))) then .[0] else error("rule") end' "$tmp/text" >"$tmp/again" 2>/dev/null || die "manifest breaks a rule"
cmp -s "$tmp/text" "$tmp/again" || die "manifest is not in its one form"
{
	read -r created from next listing total digest epoch origin after through start end plain_digest
	IFS= read -r want
	cat >"$tmp/frames"
} < <(jq -r '([.created_at, .core.from, .next_key // "-", (.signers | join(",")), .payload.bytes, .payload.sha256, .core.epoch,
 (if .core.kind == "return" then .core.to else .core.from end), .core.range.after, .core.range.through, .core.chain.after,
 .core.chain.through, .core.plain_sha256] | map(tostring) | join(" ")), "{\"bundle\":" + (.core | del(.plain_bytes, .plain_sha256) | tojson) + ",\"salt\":",
 (.frames[] | "\(.offset) \(.bytes) \(.plain_bytes) \(.first) \(.events) \(.sha256)")' "$tmp/text")
exists() { [ "$(date -u -d "$1" +%FT%T 2>/dev/null)" = "${1%.*}" ] && [[ $1 != *:60.* ]]; } # TIME
exists "$created" || die "created_at is no time"

# The signatures: those that the text lists, each good, one at least by the sender.
trusted=" $* " sender=no listed=''
[ "$next" = - ] || public "$next"
while IFS= read -r line; do
	[[ $line =~ ^'— '([a-z0-9-]{1,32})' '([A-Za-z0-9+/]{91}=)$ ]] || die "malformed signature line"
	name=${BASH_REMATCH[1]} b64=${BASH_REMATCH[2]}
	printf '%s' "$b64" | openssl base64 -d -A >"$tmp/sig"
	[ "$(openssl base64 -A -in "$tmp/sig")" = "$b64" ] || die "base64 with slack bits"
	id=$name+$(xxd -l 4 -p "$tmp/sig")
	[[ $trusted == *" $id+"* || $next == "$id+"* ]] || die "no trusted key $id"
	for key in "$@"; do if [[ $key == "$id+"* ]]; then public "$key"; fi; done
	if [[ $trusted == *" $id+"* && $name = "$from" ]]; then sender=yes; fi
	tail -c +5 "$tmp/sig" >"$tmp/ed25519"
	openssl pkeyutl -verify -pubin -keyform DER -inkey "$tmp/$id" -rawin -in "$tmp/text" -sigfile "$tmp/ed25519" >/dev/null 2>&1 || die "signature $id does not fit"
	listed+=$id,
done <"$tmp/signatures"
[ "$listed" = "$listing," ] || die "signatures are not those that the manifest lists"
[ $sender = yes ] || die "no trusted key of the sender has signed"

# The payload as a whole.
((size == 8 + length + total)) || die "file is longer or shorter than its manifest says"
slice "$file" $((8 + length)) "$size" >"$tmp/payload"
[ "$(sha "$tmp/payload")" = "$digest" ] || die "payload is not what was signed"

# frame FILE CONTENT: one whole zstd frame of that content, walked block by block.
frame() {
	local d at=5 window content single n header bytes last=0
	bytes=$(wc -c <"$1") d=$(little "$1" 4 1)
	single=$((d >> 5 & 1))
	(((d & 11) == 0 && (single || d >> 6))) && [ "$(xxd -l 4 -p "$1")" = 28b52ffd ] || die "frame: magic, dictionary or size of the content"
	if ((!single)); then n=$(little "$1" 5 1) at=6 && window=$(((8 + (n & 7)) << (7 + (n >> 3)))); fi
	n=$((1 << (d >> 6))) && content=$(little "$1" $at $n) && ((at += n, n != 2)) || ((content += 256))
	((content == $2 && ${window:=content} <= 8 << 20)) || die "frame: size of the content, or window"
	while ((!last)); do
		header=$(little "$1" $at 3) && last=$((header & 1)) n=$((header >> 3))
		case $((header >> 1 & 3)) in 1) n=1 ;; 3) die "frame: reserved block" ;; *) ((n <= 128 << 10)) || die "frame: block too long" ;; esac
		((at += 3 + n, at <= bytes)) || die "frame: ends inside a block"
	done
	((at + (d & 4) == bytes)) || die "frame: bytes after its end"
	zstd -dcq "$1" 2>/dev/null || die "frame: cannot be decompressed"
}

# The lines.
natural='[1-9][0-9]{0,15}' text='[^"\\[:cntrl:]]' hex='[0-9a-f]'
value='(true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?(30[0-8]|[0-2]?[0-9]?[0-9]))?)'
event="^\\{\"pos\":$natural,\"id\":\"$hex{8}(-$hex{4}){3}-$hex{12}\",\"stream\":\"$text+\",\"ver\":$natural,\"type\":\"$text+\",\"schema\":$natural,"
event+="\"at\":\"[0-9]{4}(-[0-9]{2}){2}T[0-2][0-9](:[0-5][0-9]){2}[.][0-9]{6}Z\",\"actor\":\"$text+\",\"corr\":\"$text+\",\"cause\":\"$text*\",\"data\":\\{.*\\}\$"
run="^\\{\"after\":(0|($natural)),\"through\":($natural),\"withheld\":($natural),\"chain\":\"($hex{64})\"\\}\$"
json() { # FILE of event lines: what a regular expression of the envelope does not see
	local bare=$tmp/bare
	sed -E 's/"([^"\\]|\\.)*"/""/g' "$1" >"$bare"
	if grep -qvxE "([][{},:]|\"\"|[[,:]$value)*" "$bare"; then die "line: white space or a number"; fi
	if grep -qE '[0-9.eE+-]{129}' "$bare"; then die "line: number too long"; fi
	sed -E 's/\\\\//g; s/\\u[dD][89abAB]..\\u[dD][c-fC-F]..//g' "$1" >"$bare"
	if grep -qiE '\\u(0000|d[89a-f])' "$bare"; then die "line: U+0000 or a lone surrogate"; fi
	jq -es 'all(length == 11 and ([[], paths(type == "object" or type == "array")] | map(length) | max < 64) and
		([.pos, .ver, .schema] | all(. <= 9007199254740991)) and ([.stream, .type, .actor, .corr, .cause] | all(utf8bytelength <= 512)))' \
		"$1" >/dev/null 2>&1 || die "line: not JSON, too deep, a key too many or a value out of range"
	[ -z "$(jq -cn --stream 'foreach inputs as $e (0; . + if ($e | length) == 1 and ($e[0] | length) == 1 then 1 else 0 end;
		if ($e | length) == 2 then [., $e[0]] else empty end)' "$1" | sort | uniq -d)" ] || die "line: two members of one name"
}
pos=$after chain=$start events=0 announced=-1
[ "$pos" != 0 ] || [ "$chain" = "$(printf 'sallyport-log/1\n%s\n%s' "$epoch" "$origin" | sha)" ] || die "chain does not begin at this log's start"
one() { # LINE: an event or a run, at the position that follows
	if [[ $1 =~ $run ]]; then
		((BASH_REMATCH[1] == pos && BASH_REMATCH[3] <= through && BASH_REMATCH[3] - pos == BASH_REMATCH[4])) || die "run at $((pos + 1)) does not follow"
		pos=${BASH_REMATCH[3]} chain=${BASH_REMATCH[5]}
		return
	fi
	grep -qE "$event" <<<"$1" || die "line at $((pos + 1)) is neither an event nor a run"
	((${#1} <= 1 << 20)) || [[ ${1:0:2500} == *'"type":"response.recorded"'* && ${#1} -le $((16 << 20)) ]] || die "line at $((pos + 1)) is too long"
	printf '%s\n' "$1" >>"$tmp/events"
	local at=${1#*',"at":"'}
	exists "${at:0:27}" || die "line at $((pos + 1)) has no time"
	[[ $1 == '{"pos":'$((pos + 1)),* ]] && ((++pos <= through && ++events <= announced)) || die "event at $((pos + 1)) does not follow"
	chain=$(printf '%s%s' "$chain" "$(printf '%s' "$1" | sha)" | xxd -r -p | sha)
}
no=0
while read -r offset bytes plain first inside hash; do
	slice "$tmp/payload" "$offset" "$bytes" >"$tmp/frame"
	[ "$(sha "$tmp/frame")" = "$hash" ] || die "frame $((++no)) is not what was signed"
	frame "$tmp/frame" "$plain" >"$tmp/plain"
	cat "$tmp/plain" >>"$tmp/all"
	[ "$(tail -c 1 "$tmp/plain" | xxd -p)" = 0a ] || die "frame does not end with a line"
	((plain <= 4 << 20 || $(wc -l <"$tmp/plain") == 1)) || die "frame over 4 MiB of more than one line"
	if tr -d '\n' <"$tmp/plain" | grep -qa '[[:cntrl:]]' || ! iconv -f UTF-8 -t UTF-8 "$tmp/plain" >/dev/null 2>&1; then die "control character or no UTF-8"; fi
	exec 3<"$tmp/plain"
	if ((no++ == 0)); then
		IFS= read -r line <&3
		[[ $line == "$want"* && ${line#"$want"} =~ ^\"[0-9a-f]{32}\",\"events\":(0|[1-9][0-9]*),\"operator\":(\"([^\"\\]|\\.)*\"),\"note\":(\"([^\"\\]|\\.)*\")(,\"proof\":\"([^\"\\]|\\.)+\")?}$ &&
			( -z ${BASH_REMATCH[6]} || $want == *',"kind":"return",'* ) ]] ||
			die "first line is not this manifest's"
		announced=${BASH_REMATCH[1]}
		line=${line#"$want"}
		[[ ${#line} -lt 200 && $line != *\\* ]] || jq -e '(.operator | utf8bytelength <= 256) and (.note | utf8bytelength <= 4096) and (.proof // "" | utf8bytelength <= 524288) and (.operator + .note + (.proof // "") | explode | all(. != 0))' <<<"{\"salt\":$line" >/dev/null || die "first line: operator, note or proof"
	fi
	((first == pos + 1)) && before=$events || die "frame begins at another position"
	: >"$tmp/events"
	while IFS= read -r line <&3; do one "$line"; done
	[ ! -s "$tmp/events" ] || json "$tmp/events"
	((inside == events - before)) || die "frame holds another number of events"
done <"$tmp/frames"
[ "$(sha "$tmp/all")" = "$plain_digest" ] || die "decompressed payload is not what was signed"
((pos == through && events == announced)) || die "ends at $pos with $events events, $through and $announced were promised"
[ "$chain" = "$end" ] || die "the chain does not lead to its end"
