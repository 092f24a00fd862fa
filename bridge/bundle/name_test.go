package bundle_test

import (
	"testing"

	"pgregory.net/rapid"

	"sallyport/bridge/bundle"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bundle.Name{
		"sp1_field-core_01234567_0000000001.jsonl.zst":     {Link: "field-core", Epoch8: "01234567", Seq: 1},
		"sp1_field-core_01234567_9999999999.jsonl.zst.age": {Link: "field-core", Epoch8: "01234567", Seq: 9999999999, Encrypted: true},
		"sp1_a-b-c_89abcdef_0000000000.b12.jsonl.zst":      {Link: "a-b-c", Epoch8: "89abcdef", Beacon: 12},
		"sp1_-----_89abcdef_0000000002.jsonl.zst":          {Link: "-----", Epoch8: "89abcdef", Seq: 2},
	} {
		got, err := bundle.ParseName(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", ".DS_Store", "Thumbs.db", "sp1_field-core_01234567_0000000001.jsonl.zst.tmp", ".sp1_field-core_01234567_0000000001.jsonl.zst",
		"sp2_field-core_01234567_0000000001.jsonl.zst", "SP1_field-core_01234567_0000000001.jsonl.zst", "sp1_fieldcore_01234567_0000000001.jsonl.zst",
		"sp1_Field-core_01234567_0000000001.jsonl.zst", "sp1_field-core_0123456_0000000001.jsonl.zst", "sp1_field-core_0123456G_0000000001.jsonl.zst",
		"sp1_field-core_01234567_000000001.jsonl.zst", "sp1_field-core_01234567_00000000001.jsonl.zst", "sp1_field-core_01234567_0000000000.jsonl.zst",
		"sp1_field-core_01234567_0000000001.b0.jsonl.zst", "sp1_field-core_01234567_0000000001.b01.jsonl.zst", "sp1_field-core_01234567_0000000001.b1.jsonl.zst.age",
		"sp1_field-core_01234567_0000000001.jsonl.zst\n", "a/sp1_field-core_01234567_0000000001.jsonl.zst", "sp1_-a_01234567_0000000001.jsonl.zst",
		"sp1_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b_01234567_0000000001.jsonl.zst",
	} {
		if got, err := bundle.ParseName(name); err == nil {
			t.Errorf("accepted %q as %+v", name, got)
		}
	}
}

func TestNameRoundTrip(t *testing.T) {
	t.Parallel()
	site := rapid.StringMatching(`[a-z0-9-]{1,32}`)
	rapid.Check(t, func(rt *rapid.T) {
		core := bundle.Core{Span: bundle.Span{From: site.Draw(rt, "from"), To: site.Draw(rt, "to"), Epoch: epoch, Seq: rapid.Int64Range(1, 9_999_999_999).Draw(rt, "seq")}}
		beacon := rapid.IntRange(0, 1000).Draw(rt, "beacon")
		n := bundle.NameFor(core, beacon, beacon == 0 && rapid.Bool().Draw(rt, "encrypted"))
		got, err := bundle.ParseName(n.String())
		if err != nil || got != n || !got.Between(core.From, core.To) {
			rt.Fatalf("%s became %+v, %v", n, got, err)
		}
	})
}
