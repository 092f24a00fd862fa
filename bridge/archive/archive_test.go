package archive_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/bundle/bundletest"
	"sallyport/eventstore"
)

// What an archive holds is what is read of it, and where each log stands.
func TestVerify(t *testing.T) {
	t.Parallel()
	lines := good(t)
	logs := walked(t, lines)
	a, err := archive.Open(made(t, lines, logs), trust)
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.Verify(t.Context(), archive.Checks{})
	if err != nil || len(found) != 3 || found[0].Origin != "field" || found[0].Events != 2 || found[1].Through != 3 || found[1].Withheld != 2 || found[2].Epoch != later {
		t.Errorf("verified %+v, %v", found, err)
	}
	logs[1].Events++
	if a, err = archive.Open(made(t, lines, logs), trust); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(t.Context(), archive.Checks{}); bundle.CodeOf(err) != bundle.Damaged || !strings.Contains(err.Error(), "the index does not say") {
		t.Errorf("an index that lies: %v", err)
	}
}

// Backward is forward in the opposite order, however little is kept of a segment.
func TestBackward(t *testing.T) {
	t.Parallel()
	a, err := archive.Open(made(t, good(t), nil), trust)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keep   int
		filter eventstore.Filter
		want   []int64
	}{
		{1 << 20, eventstore.Filter{}, []int64{4, 3, 2, 1}},
		{1, eventstore.Filter{}, []int64{4, 3, 2, 1}},
		{500, eventstore.Filter{Origin: "field", Through: 3}, []int64{3, 1}},
		{1, eventstore.Filter{After: 1, Through: 3}, []int64{3, 2}},
		{1, eventstore.Filter{Origin: "nobody"}, nil},
	} {
		a.Keep(c.keep)
		c.filter.Backward = true
		var got []int64
		for e, err := range a.Search(t.Context(), c.filter) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, e.Seq); !bytes.Contains(e.Line, []byte(`"type":"`+e.Type)) {
				t.Errorf("seq %d has no line", e.Seq)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v, %d bytes kept: %v, want %v", c.filter, c.keep, got, c.want)
		}
	}
}

// What the site itself has signed, and what does not follow, is damage too, with
// its line or its number.
func TestLinesThatDoNotFollow(t *testing.T) {
	t.Parallel()
	lines := good(t)
	put := func(at int, l []byte) [][]byte { return slices.Concat(lines[:at], [][]byte{l}, lines[at+1:]) }
	for what, c := range map[string]struct {
		lines [][]byte
		says  string
	}{
		"a log without a stand":          {lines[1:2], "which does not follow"},
		"another chain at a log's start": {put(0, stand(t, "field", epoch, 0, bundle.Hash{1})), "not its epoch's first"},
		"a position left out":            {put(6, entry(3, "field", 3)), "line 8 position 3"},
		"a position twice":               {put(6, entry(3, "field", 1)), "line 8 position 3"},
		"a run that does not follow":     {put(3, run(t, "core", 1, 2)), "do not follow"},
		"a run back":                     {put(3, run(t, "core", 0, 0)), "do not follow"},
		"an epoch that is no new one":    {put(7, stand(t, "core", epoch, 7, bundle.Start(epoch, "core"))), "another chain or epoch"},
		"an epoch that goes back":        {put(7, stand(t, "core", later, 2, bundle.Start(later, "core"))), "another chain or epoch"},
		"a note that is none":            {put(5, []byte(`{"manifest": "x"}`)), "one encoding"},
		"two notes in one":               {put(5, []byte(`{"stand":{"origin":"a","epoch":"b","after":0,"chain":"`+strings.Repeat("0", 64)+`"},"manifest":"x"}`)), "one encoding"},
		"an entry that is no line":       {put(6, []byte(`{"seq":3,"stored_at":"`+noon+`","origin":"field","line":{}}`)), "not an event"},
		"a run as an entry":              {put(6, []byte(`{"seq":3,"stored_at":"`+noon+`","origin":"field","line":{"after":1,"through":2,"withheld":1,"chain":"`+strings.Repeat("0", 64)+`"}}`)), "not an entry"},
	} {
		a, err := archive.Open(made(t, c.lines, []archive.Log{}), trust)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Verify(t.Context(), archive.Checks{}); bundle.CodeOf(err) != bundle.Damaged || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
	}
}

// A number that is left out or comes twice cannot even be written.
func TestNumbersHaveNoHole(t *testing.T) {
	t.Parallel()
	for _, seq := range []int64{2, 0, -1} {
		w, err := bundle.NewWriter(t.Context(), &bytes.Buffer{}, bundle.Plan{First: bundle.First{Salt: salt, Events: 1,
			Span: bundle.Span{Kind: bundle.Archive, From: "field", To: "field", Epoch: epoch, Seq: 1, Range: bundle.Range{Through: 1}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Entry(entry(seq, "field", 1)); err == nil {
			t.Errorf("seq %d was taken", seq)
		}
		w.Close()
	}
}

// An index that its own site signed and that breaks a rule.
func TestIndexRules(t *testing.T) {
	t.Parallel()
	x := index()
	if _, err := archive.ParseIndex(sign(t, x), trust); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*archive.Index){
		"no segment":        func(x *archive.Index) { x.Segments = nil },
		"no site":           func(x *archive.Index) { x.Site = "" },
		"a hole":            func(x *archive.Index) { x.Segments[1].After++ },
		"a name with a way": func(x *archive.Index) { x.Segments[1].File = "../" + x.Segments[1].File },
		"an empty segment":  func(x *archive.Index) { x.Segments[1].Through = x.Segments[1].After },
		"no bytes":          func(x *archive.Index) { x.Segments[0].Bytes = 0 },
	} {
		x := index()
		change(&x)
		if _, err := x.Sign(bundletest.Signer(t, "field")); err == nil {
			t.Errorf("%s was signed", what)
		}
	}
	for what, text := range map[string]string{
		"a newer format": strings.Replace(text(t, x), "archive/1", "archive/2", 1), "a key more": strings.Replace(text(t, x), "{", `{"x":1,`, 1),
		"other spaces": strings.Replace(text(t, x), "  ", " ", 1), "no JSON": "{\n", "another site's": strings.ReplaceAll(text(t, x), `"field"`, `"core"`),
	} {
		signed, err := bundle.SignNote([]byte(text), bundletest.Signer(t, "field"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.ParseIndex(signed, trust); bundle.CodeOf(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func index() archive.Index {
	return archive.Index{Site: "field", CreatedAt: noon, Logs: []archive.Log{}, Keys: []archive.Key{{Site: "field", Key: "field+x", State: "present"}}, Segments: []archive.Segment{
		{File: archive.SegmentName("field", 0, 4), ID: strings.Repeat("a", 64), Through: 4, StoredFrom: noon, StoredTo: noon, Bytes: 10},
		{File: archive.SegmentName("field", 4, 9), ID: strings.Repeat("b", 64), After: 4, Through: 9, StoredFrom: noon, StoredTo: noon, Bytes: 10}}}
}

// text is what is signed of an index.
func text(t testing.TB, x archive.Index) string {
	t.Helper()
	text, _, _ := strings.Cut(string(sign(t, x)), "\n\n")
	return text + "\n"
}

// seeds gives what each fuzz target starts from; -update commits them.
func seeds(t *testing.T) map[string][][]byte {
	t.Helper()
	return map[string][][]byte{
		"FuzzParseLine":  append(good(t), []byte(`{"seq":1,"stored_at":"`+noon+`","origin":"x","line":`), []byte(`{"stand":{}}`)),
		"FuzzParseIndex": {[]byte(text(t, index())), []byte("{\n  \"format\": \"sallyport-archive/1\"\n}\n"), []byte("{}\n")},
		"FuzzLines":      {bytes.Join(good(t), []byte("\n")), bytes.Join(good(t)[:2], []byte("\n")), bytes.Join(good(t)[1:], []byte("\n"))},
	}
}

// A fuzz target without seeds passes whatever the code does.
func TestFuzzSeedsAreThere(t *testing.T) {
	t.Parallel()
	for name, list := range seeds(t) {
		dir := filepath.Join("testdata", "fuzz", name)
		if *update {
			writeSeeds(t, dir, list)
		}
		found, err := os.ReadDir(dir)
		if err != nil || len(found) < 3 {
			t.Errorf("%s: %d seeds, %v", name, len(found), err)
		}
	}
}

// What is read as a line can be written again as it was.
func FuzzParseLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := archive.ParseLine(raw, bundle.Limits{})
		if err != nil {
			return
		}
		var again []byte
		if e := l.Entry; e != nil {
			again = bundle.AppendEntry(nil, e.Seq, e.StoredAt, e.Origin, e.Line.Raw)
		} else if again, err = l.Note(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, raw) {
			t.Errorf("%q became %q", raw, again)
		}
	})
}

// Whatever the site signs as an index is refused or can be signed again.
func FuzzParseIndex(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		signed, err := bundle.SignNote(raw, bundletest.Signer(t, "field"))
		if err != nil {
			return
		}
		x, err := archive.ParseIndex(signed, trust)
		if err == nil && !bytes.Equal(sign(t, x), signed) {
			t.Errorf("%q became another", raw)
		}
		if err != nil && bundle.CodeOf(err) == "" {
			t.Errorf("refused without a code: %v", err)
		}
	})
}

// However lines are mixed, each log's positions go up by one or over a run.
func FuzzLines(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		var w archive.Walk
		at := map[string]int64{}
		for line := range bytes.SplitSeq(raw, []byte("\n")) {
			l, err := archive.ParseLine(line, bundle.Limits{})
			if err != nil || w.Take(l) != nil {
				return
			}
			if e := l.Entry; e != nil {
				if at[e.Origin] >= e.Line.Event.Pos {
					t.Fatalf("position %d of %s after %d", e.Line.Event.Pos, e.Origin, at[e.Origin])
				}
				at[e.Origin] = e.Line.Event.Pos
			}
		}
	})
}
