package bundle_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

const formatDoc = "../../docs/bundle-format.md"

// fence gives the content of the specification's one block with this info string.
func fence(t *testing.T, doc, info string) string {
	t.Helper()
	_, rest, found := strings.Cut(doc, "\n```"+info+"\n")
	content, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatalf("%s has no block %q", formatDoc, info)
	}
	return content
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func readDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(formatDoc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whoever implements from the specification alone tests against its example: its
// bytes are those of a vector.
func TestSpecificationsExampleIsAVector(t *testing.T) {
	t.Parallel()
	doc := readDoc(t)
	payload := unhex(t, fence(t, doc, "hex payload"))
	file := append(unhex(t, fence(t, doc, "hex header")), fence(t, doc, "text manifest")...)
	file = append(file, payload...)
	if want := (vector{File: "ok-one-event"}).read(t); !bytes.Equal(file, want) {
		t.Fatalf("the example's %d bytes are not those of the vector, %d", len(file), len(want))
	}
	lines := fence(t, doc, "json lines")
	if got := unpack(t, payload); string(got) != lines {
		t.Errorf("the example's payload decompresses to %s", got)
	}
	m := open(t, file).Manifest()
	_, event, _ := strings.Cut(strings.TrimSuffix(lines, "\n"), "\n")
	values := fence(t, doc, "text values")
	for name, want := range map[string]string{
		"h(0)": bundle.Start(epoch, "field").String(), "SHA-256(line)": sum([]byte(event)).String(), "h(1)": m.Core.Chain.Through.String(),
		"bundle id": m.Core.ID(), "verifier key": verifierKey(t, "field", "field"), "file name": bundle.NameFor(m.Core, 0, false).String(),
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` +` + regexp.QuoteMeta(want) + `$`).MatchString(values) {
			t.Errorf("%s is not %s", name, want)
		}
	}
}

// No key of a manifest or a first line, and no code, is left unsaid.
func TestSpecificationNamesEveryKey(t *testing.T) {
	t.Parallel()
	doc := readDoc(t)
	signed, payload := cut(vector{File: "ok-rotation"}.read(t))
	all := string(signed) + string(unpack(t, payload))
	for _, file := range []string{"ok-middle-with-ack", "ok-age"} {
		signed, _ := cut(vector{File: file}.read(t))
		all += string(signed)
	}
	keys := regexp.MustCompile(`"([a-z0-9_]+)":`).FindAllStringSubmatch(all, -1)
	if len(keys) < 40 {
		t.Fatalf("only %d keys found", len(keys))
	}
	for _, key := range keys {
		if !regexp.MustCompile("[`.\"]" + key[1] + "[`\"]").MatchString(doc) {
			t.Errorf("key %s is not described", key[1])
		}
	}
	for _, code := range []bundle.Code{bundle.Damaged, bundle.Incomplete, bundle.Gap, bundle.Duplicate, bundle.Fork, bundle.Untrusted, bundle.Refused, bundle.Upgrade} {
		if !strings.Contains(doc, "| `"+string(code)+"` |") {
			t.Errorf("code %s is not described", code)
		}
	}
}

func TestSpecificationGivesTheDefaultLimits(t *testing.T) {
	t.Parallel()
	doc, l := readDoc(t), bundle.DefaultLimits()
	for _, row := range []string{
		fmt.Sprintf("| file | %d MiB |", l.File>>20),
		fmt.Sprintf("| manifest, signature lines included | %d MiB |", l.Manifest>>20),
		fmt.Sprintf("| lines after the first | %d,%03d,%03d |", l.Lines/1_000_000, l.Lines/1000%1000, l.Lines%1000),
		fmt.Sprintf("| `core.plain_bytes` | %d GiB |", l.Plain>>30),
		fmt.Sprintf("| event line without LF | %d MiB; of type `%s` %d MiB |", l.Line>>20, bundle.RecordedType, l.RecordedLine>>20),
		fmt.Sprintf("| frame, decompressed | %d MiB, or one line |", l.Frame>>20),
		fmt.Sprintf("| zstd window (content size for a single segment) | %d MiB |", l.Window>>20),
		fmt.Sprintf("| nesting of a line | %d |", l.Depth),
	} {
		if !strings.Contains(doc, "\n"+row) {
			t.Errorf("no row %q", row)
		}
	}
}
