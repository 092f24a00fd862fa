package bundle_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge/bundle"
)

// edit is a change of a manifest's text: the first match of pattern becomes
// replacement, a template of [regexp.Regexp.Expand].
type edit struct{ name, pattern, replacement, says string }

// resigned gives the vectors of a bundle whose manifest was changed in these ways
// and signed again by its sender: only the reader's own rules can refuse them.
func resigned(t *testing.T, raw []byte, edits []edit) []vector {
	t.Helper()
	signed, payload := cut(raw)
	text, _, _ := strings.Cut(string(signed), "\n\n")
	text += "\n"
	var out []vector
	for _, e := range edits {
		re := regexp.MustCompile(`(?s)` + e.pattern)
		at := re.FindStringSubmatchIndex(text)
		if at == nil {
			t.Fatalf("%s: nothing to change", e.name)
		}
		changed := text[:at[0]] + string(re.ExpandString(nil, e.replacement, text, at)) + text[at[1]:]
		if changed == text {
			t.Fatalf("%s changes nothing", e.name)
		}
		again, err := note.Sign(&note.Note{Text: changed}, signerOf(t, "field"))
		if err != nil {
			t.Fatal(e.name, err)
		}
		out = append(out, vector{File: e.name, Code: bundle.Damaged, Says: e.says, raw: join(t, again, payload)})
	}
	return out
}

// badManifests break one rule of one field each.
func badManifests(t *testing.T) []vector {
	edits := append(coreEdits(), ackEdits()...)
	edits = append(edits, signerEdits(t)...)
	return slices.Concat(resigned(t, middle(t).file(t), edits), resigned(t, middleSeen(t).file(t), seenEdits()), resigned(t, audit().file(t), auditEdits()))
}

// audit is an export for people, which withholds its first event.
func audit() recipe { return auditFor("auditor") }

func auditFor(whom string) recipe {
	return recipe{kind: bundle.Audit, from: "field", to: whom, items: []item{{run: events(0, 1)}, {line: events(1, 1)[0]}}}
}

func auditEdits() []edit {
	return []edit{
		{"audit-with-a-number", `"seq": 0`, `"seq": 1`, "core.seq"},
		{"audit-with-prev", `"prev": ""`, `"prev": "` + strings.Repeat("0", 64) + `"`, "core.prev"},
		{"audit-of-nothing", `("range": {\s+"after": )0`, `${1}2`, "core.range"},
		{"audit-with-ack", `(\n  "signers")`, "\n  \"ack\": {\n    \"epoch\": \"" + epoch + "\",\n    \"incarnation\": \"" + epoch +
			"\",\n    \"no\": 1,\n    \"seq\": 0,\n    \"position\": 0,\n    \"chain\": \"" + strings.Repeat("0", 64) +
			"\",\n    \"missing\": [],\n    \"rejected\": [],\n    \"understands\": []\n  },${1}", "for people"},
	}
}

func seenEdits() []edit {
	return []edit{
		{"seen-null", `"seen": .*?\n    }`, `"seen": null`, "one encoding"},
		{"seen-no-0", `"no": 21`, `"no": 0`, "ack.seen"},
		{"seen-no-beyond-2-53", `"no": 21`, `"no": 9007199254740992`, "ack.seen"},
		{"seen-no-missing", `,\n\s+"no": 21`, ``, "one encoding"},
		{"seen-incarnation-31-digits", `("seen": {\s+"incarnation": ")0`, `$1`, "ack.seen"},
	}
}

func coreEdits() []edit {
	hash := func(key string) string { return `("` + key + `": ")[0-9a-f]{64}` }
	return []edit{
		{"core-format-0", `bundle/1"`, `bundle/0"`, "core.format"},
		{"core-format-of-another", `sallyport-bundle`, `bundle`, "core.format"},
		{"core-format-number", `"sallyport-bundle/1"`, `1`, "strict JSON"},
		{"core-kind-unknown", `"data"`, `"dated"`, "core.kind"},
		{"core-kind-missing", `    "kind": "data",\n`, ``, "one encoding"},
		{"core-from-upper-case", `"from": "field"`, `"from": "Field"`, "site names"},
		{"core-from-empty", `"from": "field"`, `"from": ""`, "site names"},
		{"core-from-33-characters", `"from": "field"`, `"from": "` + strings.Repeat("f", 33) + `"`, "site names"},
		{"core-to-with-dot", `"to": "core"`, `"to": "core.example"`, "site names"},
		{"core-to-is-from", `"to": "core"`, `"to": "field"`, "site names"},
		{"core-epoch-31-digits", `("epoch": ")0`, `$1`, "core.epoch"},
		{"core-epoch-upper-case", `("epoch": "0123456789)a`, `${1}A`, "core.epoch"},
		{"core-seq-0", `"seq": 3`, `"seq": 0`, "core.seq"},
		{"core-seq-negative", `"seq": 3`, `"seq": -3`, "core.seq"},
		{"core-seq-eleven-digits", `"seq": 3`, `"seq": 10000000000`, "core.seq"},
		{"core-seq-decimal", `"seq": 3`, `"seq": 3.0`, "strict JSON"},
		{"core-seq-exponent", `"seq": 3`, `"seq": 3e0`, "strict JSON"},
		{"core-seq-leading-zero", `"seq": 3`, `"seq": 03`, "strict JSON"},
		{"core-seq-text", `"seq": 3`, `"seq": "3"`, "strict JSON"},
		{"core-seq-null", `"seq": 3`, `"seq": null`, "one encoding"},
		{"core-prev-63-digits", `"prev": ""`, `"prev": "` + strings.Repeat("0", 63) + `"`, "core.prev"},
		{"core-range-negative", `"after": 40`, `"after": -1`, "core.range"},
		{"core-range-empty", `"after": 40`, `"after": 48`, "core.range"},
		{"core-range-backwards", `"through": 48`, `"through": 39`, "core.range"},
		{"core-range-beyond-2-53", `"through": 48`, `"through": 9007199254740992`, "core.range"},
		{"core-chain-63-digits", `("after": ")0`, `$1`, "strict JSON"},
		{"core-chain-upper-case", hash("after"), `${1}` + strings.Repeat("A", 64), "strict JSON"},
		{"core-plain-bytes-0", `"plain_bytes": \d+`, `"plain_bytes": 0`, "core.plain_bytes"},
		{"core-plain-bytes-of-another", `"plain_bytes": \d+`, `"plain_bytes": 100000`, "frames do not add up"},
		{"core-plain-sha256-upper-case", hash("plain_sha256"), `${1}` + strings.Repeat("F", 64), "strict JSON"},
		{"core-plain-sha256-of-another", hash("plain_sha256"), `${1}` + strings.Repeat("0", 64), "core.plain_sha256"},
		{"head-missing", `  "head": .*?},\n`, ``, "one encoding"},
		{"head-position-negative", `"position": 60`, `"position": -60`, "head"},
		{"head-seq-beyond-2-53", `"seq": 4`, `"seq": 9007199254740992`, "head"},
		{"payload-bytes-0", `("payload": .*?"bytes": )\d+`, `${1}0`, "payload.bytes"},
		{"payload-sha256-63-digits", `("payload": .*?"sha256": "[0-9a-f]{63}).`, `$1`, "strict JSON"},
		{"payload-sha256-of-another", `("payload": .*?"sha256": ")[0-9a-f]{64}`, `${1}` + strings.Repeat("0", 64), "payload are not what was signed"},
	}
}

func ackEdits() []edit {
	return []edit{
		{"ack-null", `"ack": .*?\n  },`, `"ack": null,`, "one encoding"},
		{"ack-epoch-missing", `("ack": {\n)    "epoch": .*?\n`, `$1`, "one encoding"},
		{"ack-incarnation-31-digits", `("incarnation": ")0`, `$1`, "ack.incarnation"},
		{"ack-no-0", `"no": 11`, `"no": 0`, "ack"},
		{"ack-seq-negative", `"seq": 5`, `"seq": -5`, "ack"},
		{"ack-position-beyond-2-53", `"position": 90`, `"position": 9007199254740992`, "ack"},
		{"ack-missing-null", `"missing": \[.*?\]`, `"missing": null`, "one encoding"},
		{"ack-missing-not-ascending", `6,\n(\s+)8`, "8,\n${1}6", "ack.missing"},
		{"ack-missing-twice", `6,\n(\s+)8`, "6,\n${1}6", "ack.missing"},
		{"ack-missing-0", `6,\n(\s+)8`, "0,\n${1}8", "ack.missing"},
		{"ack-rejected-not-ascending", `"seq": 7`, `"seq": 10`, "ack.rejected"},
		{"ack-rejected-unknown-code", `"upgrade"`, `"late"`, "ack.rejected"},
		{"ack-understands-not-sorted", `user\.profile`, `a.profile`, "ack.understands"},
		{"ack-understands-leading-zero", `changed\.v2`, `changed.v02`, "ack.understands"},
		{"ack-understands-no-version", `changed\.v2`, `changed`, "ack.understands"},
	}
}

func signerEdits(t *testing.T) []edit {
	id := bundle.KeyID("field", publicOf("field"))
	quoted := regexp.QuoteMeta(id)
	var many []string
	for i := range 17 {
		many = append(many, `"field+`+strconv.FormatInt(0x10000000+int64(i), 16)+`"`)
	}
	next := func(key string) string { return `  "next_key": "` + key + "\",\n  \"created_at\"" }
	good := verifierKey(t, "field", "field-2")
	return []edit{
		{"signers-empty", `"signers": \[.*?\]`, `"signers": []`, "signers"},
		{"signers-missing", `  "signers": \[.*?\],\n`, ``, "one encoding"},
		{"signers-twice", `("` + quoted + `")`, "${1},\n    ${1}", "one twice"},
		{"signers-seventeen", `"` + quoted + `"`, strings.Join(many, ",\n    "), "too many"},
		{"signers-without-hash", quoted, `field`, "no key id"},
		{"signers-hash-upper-case", quoted, `field+ABCDEF01`, "no key id"},
		{"next-key-of-another-site", `  "created_at"`, next(verifierKey(t, "core", "field-2")), "next_key"},
		{"next-key-hash-of-another", `  "created_at"`, next(regexp.MustCompile(`\+[0-9a-f]{8}\+`).ReplaceAllString(good, "+00000000+")), "next_key"},
		{"next-key-cut", `  "created_at"`, next(good[:len(good)-4]), "next_key"},
		{"next-key-empty", `  "created_at"`, next(""), "one encoding"},
		{"created-at-26-characters", `\.123456Z`, `.12345Z`, "created_at"},
		{"created-at-no-such-day", `2026-11-22`, `2026-11-31`, "created_at"},
		{"created-at-offset", `\.123456Z`, `.123456+00:00`, "created_at"},
	}
}

// badEncodings say what the honest manifest says, in another form, or say more.
func badEncodings(t *testing.T) []vector {
	return resigned(t, middle(t).file(t), []edit{
		{"json-unknown-key", `  "created_at"`, "  \"colour\": 1,\n  \"created_at\"", "strict JSON"},
		{"json-unknown-key-in-core", `    "plain_bytes"`, "    \"colour\": 1,\n    \"plain_bytes\"", "strict JSON"},
		{"json-unknown-key-in-frame", `      "offset"`, "      \"colour\": 1,\n      \"offset\"", "strict JSON"},
		{"json-key-twice", `"head": {`, "\"head\": {\n    \"position\": 60,", "strict JSON"},
		{"json-key-other-case", `"head"`, `"Head"`, "strict JSON"},
		{"json-key-order", `("position": 60),\n(\s+)("seq": 4)`, "$3,\n$2$1", "one encoding"},
		{"json-key-order-at-top", `(  "head": .*?},\n)(  "payload": .*?},\n)`, `$2$1`, "one encoding"},
		{"json-key-escaped", `"head"`, `"h\u0065ad"`, "one encoding"},
		{"json-text-escaped", `"data"`, `"d\u0061ta"`, "one encoding"},
		{"json-three-spaces", `  "head"`, `   "head"`, "one encoding"},
		{"json-tab", `  "head"`, "\t\"head\"", "one encoding"},
		{"json-no-space-after-colon", `"head": `, `"head":`, "one encoding"},
		{"json-space-at-line-end", `"head": {\n`, "\"head\": { \n", "one encoding"},
		{"json-cr-lf", `"head": {\n`, "\"head\": {\r\n", "one encoding"},
		{"json-bom", `\A`, "\ufeff", "strict JSON"},
		{"json-trailing-comma", `("created_at": "[^"]*")`, `$1,`, "strict JSON"},
		{"json-two-values", `\z`, "{}\n", "strict JSON"},
		{"json-cut", `\n}\n\z`, "\n", "strict JSON"},
		{"json-array", `\A(.*)\n\z`, "[$1]\n", "strict JSON"},
		{"json-not-ascii", `"next_key"|  "created_at"`, "  \"n\u00e9xt\": 1,\n  \"created_at\"", "strict JSON"},
		{"json-not-utf-8", `"data"`, "\"d\xffta\"", "strict JSON"},
		{"json-newer-format-other-form", `    "format": "sallyport-bundle/1"`, `   "format": "sallyport-bundle/2"`, "one encoding"},
	})
}

// badSealed are faults of an encrypted bundle.
func badSealed(t *testing.T) []vector {
	id := identity(t)
	theirs := recipe{from: "core", to: "field", items: plainItems(events(0, 3)), recipients: []string{id.Recipient().String()}}
	_, ciphertext := theirs.content(t)
	mine := recipe{items: plainItems(events(0, 3)), recipients: theirs.recipients}
	own, sealed := mine.content(t)
	clear := mine
	clear.recipients = nil
	bare, plain := clear.content(t)
	// put signs a manifest of c over another payload.
	put := func(c bundle.Content, payload []byte) []byte {
		r := mine
		r.change = func(m *bundle.Manifest) {
			m.Payload = bundle.Payload{Bytes: int64(len(payload)), SHA256: sum(payload)}
			if m.Frames != nil {
				m.Frames = []bundle.Frame{{Bytes: m.Payload.Bytes, PlainBytes: m.Core.PlainBytes, First: 1, Events: 3, SHA256: m.Payload.SHA256}}
			}
		}
		return r.seal(t, c, payload)
	}
	swapped := append([]byte{}, sealed...)
	swapped[len(swapped)-20] ^= 1
	v := []vector{
		{File: "age-other-bundles-payload", Code: bundle.Untrusted, Frame: 1, Line: 1, Says: "does not belong", raw: put(own, ciphertext)},
		{File: "age-to-another", Code: bundle.Refused, Says: "this site's identity",
			raw: recipe{items: plainItems(events(0, 3)), recipients: []string{identity(t).Recipient().String()}}.file(t)},
		{File: "age-payload-not-encrypted", Code: bundle.Refused, Says: "cannot be decrypted", raw: put(own, plain)},
		{File: "age-payload-listed-as-frames", Code: bundle.Damaged, Frame: 1, Says: "not one whole zstd frame", raw: put(bare, sealed)},
		{File: "age-flipped-before-signing", Code: bundle.Damaged, Frame: 1, raw: put(own, swapped)},
		{File: "age-cut-before-signing", Code: bundle.Damaged, Frame: 1, raw: put(own, sealed[:len(sealed)-1])},
		{File: "age-byte-more-before-signing", Code: bundle.Damaged, Frame: 1, raw: put(own, append(append([]byte{}, sealed...), 0))},
		{File: "age-cut-last-byte", Code: bundle.Incomplete, raw: mine.seal(t, own, sealed[:len(sealed)-1])},
		{File: "age-flipped", Code: bundle.Damaged, Says: "not what was signed", raw: mine.seal(t, own, swapped)},
	}
	v = append(v, resigned(t, mine.file(t), []edit{
		{"age-recipients-empty", `"recipients": \[.*?\]`, `"recipients": []`, "lists none"},
		{"age-recipient-upper-case", `"age1`, `"AGE1`, "no age public key"},
		{"age-recipient-cut", `("age1[0-9a-z]+)[0-9a-z]"`, `$1"`, "no age public key"},
		{"age-recipient-is-a-comment", `"age1[0-9a-z]+"`, `"# nobody"`, "no age public key"},
		{"age-unknown-key", `("encryption": {\n)`, "${1}    \"cipher\": \"none\",\n", "strict JSON"},
		{"age-payload-bytes-one-less", `("payload": .*?"bytes": )\d+`, `${1}` + strconv.Itoa(len(sealed)-1), "1 bytes after its end"},
		{"age-with-frames", `  "encryption"`, "  \"frames\": [\n    {\n      \"offset\": 0,\n      \"bytes\": 1,\n      \"plain_bytes\": 1,\n      \"first\": 1,\n      \"events\": 0,\n" +
			`      "sha256": "` + strings.Repeat("0", 64) + "\"\n    }\n  ],\n  \"encryption\"", "encrypted payload"},
	})...)
	for i := range v {
		v[i].Identity = secret(id.String())
	}
	return append(v, vector{File: "age-no-identity", Code: bundle.Refused, Says: "no identity", raw: mine.file(t)})
}
