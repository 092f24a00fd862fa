package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
	"sallyport/bridge/media"
)

func TestWriteCopiesProvesAndDescribes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 3)
	w := s.write(t, names...)
	if !w.New || w.Medium == "" || w.Pool != toCore || !slices.Equal(states(w), []string{media.Copied, media.Copied, media.Copied}) {
		t.Errorf("%+v", w)
	}
	readme := string(get(t, s.medium, "READ-ME-field-core.txt"))
	for i, f := range w.Files {
		raw := get(t, s.outbox, f.Name)
		sum := sha256.Sum256(raw)
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Bytes != int64(len(raw)) || f.Seq != int64(i+1) || f.Through != int64(i+1) || f.After != int64(i) || len(f.ID) != 64 {
			t.Errorf("%+v", f)
		}
		if !bytes.Equal(get(t, s.medium, f.Name), raw) || len(get(t, s.medium, f.Name+".label.txt")) == 0 {
			t.Errorf("%s is not on the medium as it is in the outbox", f.Name)
		}
		if !strings.Contains(readme, f.Name) || !strings.Contains(readme, f.SHA256) {
			t.Errorf("people are not told of %s:\n%s", f.Name, readme)
		}
	}
	for _, word := range []string{"cli:test", w.Medium, "handed over by", "field", "core"} {
		if !strings.Contains(readme, word) {
			t.Errorf("people are not told %q:\n%s", word, readme)
		}
	}
	var m media.Marker
	check(t, json.Unmarshal(get(t, s.medium, media.MarkerFile), &m))
	if m.ID != w.Medium || m.Pool != toCore || m.FirstUsed == "" {
		t.Errorf("%+v", m)
	}
	if n := len(list(t, s.medium)); n != 3+3+2 {
		t.Errorf("%q", list(t, s.medium))
	}
}

func TestWriteAgainCopiesWhatIsNewOrDamaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 3)
	first := s.write(t, names[:2]...)
	raw := get(t, s.medium, names[0])
	raw[len(raw)/2] ^= 1
	put(t, s.medium, names[0], raw)
	w := s.write(t, names...)
	if !slices.Equal(states(w), []string{media.Copied, media.Present, media.Copied}) || w.New || w.Medium != first.Medium {
		t.Errorf("%+v", w)
	}
	if w.Files[1].SHA256 != first.Files[1].SHA256 {
		t.Error("what was there already has another hash")
	}
	if !bytes.Equal(get(t, s.medium, names[0]), get(t, s.outbox, names[0])) {
		t.Error("the damaged copy was left")
	}
	if w := s.write(t, names[2]); !slices.Equal(w.Others, names[:2]) {
		t.Errorf("from before there are %q", w.Others)
	}
}

// What a power cut leaves has a temporary name, and goes with the next run.
func TestLeftoversGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 1)
	for _, dir := range []string{s.medium, s.inbox} {
		put(t, dir, ".sallyport-"+names[0], []byte("half"))
		put(t, dir, ".sallyport-other", nil)
		check(t, os.Symlink(filepath.Join(s.outbox, names[0]), filepath.Join(dir, ".sallyport-link")))
	}
	before := get(t, s.outbox, names[0])
	s.write(t, names...)
	s.read(t)
	for _, dir := range []string{s.medium, s.inbox} {
		if i := slices.IndexFunc(list(t, dir), func(n string) bool { return n[0] == '.' }); i >= 0 {
			t.Errorf("%q", list(t, dir))
		}
	}
	if !bytes.Equal(get(t, s.outbox, names[0]), before) {
		t.Error("a leftover link was followed")
	}
}

func TestDryRunsWriteNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 2)
	put(t, s.medium, ".sallyport-half", nil)
	c := s.config(names...)
	c.DryRun = true
	w, err := media.Write(t.Context(), c)
	check(t, err)
	if w.Medium != "" || !w.New || !w.DryRun || len(w.Files) != 2 || len(list(t, s.medium)) != 1 {
		t.Errorf("%+v, %q", w, list(t, s.medium))
	}
	check(t, os.Remove(filepath.Join(s.medium, ".sallyport-half")))
	s.write(t, names...)
	r := s.reading()
	r.DryRun = true
	got, err := media.Read(t.Context(), r)
	check(t, err)
	if f := found(t, got, names[0]); f.State != media.Copied || f.SHA256 == "" || f.ID == "" || len(list(t, s.inbox)) > 0 {
		t.Errorf("%+v, %q", f, list(t, s.inbox))
	}
}

func TestAMediumBelongsToOneDirection(t *testing.T) {
	t.Parallel()
	back := media.Pool{From: "core", To: "field"}
	for name, mixUp := range map[string]func(t *testing.T, s site){
		"its marker says so": func(t *testing.T, s site) {
			other := newSite(t)
			file, raw := made(t, "core", "field", 1, 10)
			put(t, other.outbox, file, raw)
			other.medium = s.medium
			c := other.config(file)
			c.Pool = back
			_, err := media.Write(t.Context(), c)
			check(t, err)
		},
		"it brought bundles": func(t *testing.T, s site) {
			file, raw := made(t, "core", "field", 1, 10)
			put(t, s.medium, file, raw)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			names := s.exported(t, 1)
			mixUp(t, s)
			before := list(t, s.medium)
			if _, err := media.Write(t.Context(), s.config(names...)); !errors.Is(err, media.ErrPool) {
				t.Fatalf("%v", err)
			}
			if !slices.Equal(list(t, s.medium), before) {
				t.Errorf("something was written: %q", list(t, s.medium))
			}
			c := s.config(names...)
			c.AnyPool = true
			w, err := media.Write(t.Context(), c)
			check(t, err)
			if !slices.ContainsFunc(w.Warnings, func(s string) bool { return strings.Contains(s, "another direction") }) {
				t.Errorf("%q", w.Warnings)
			}
		})
	}
}

// A marker that this program did not write is never taken for one, nor
// replaced.
func TestFalseMarkers(t *testing.T) {
	t.Parallel()
	good := `{"format":"sallyport-medium/1","id":"019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d","pool":{"from":"field","to":"core"},"first_used":"2026-11-22T09:30:00.000000Z"}`
	for name, text := range map[string]string{
		"no JSON":         "hello",
		"empty":           "",
		"unknown key":     strings.Replace(good, "{", `{"colour":"red",`, 1),
		"other format":    strings.Replace(good, "medium/1", "medium/2", 1),
		"no id":           strings.Replace(good, "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d", "../../etc", 1),
		"no site":         strings.Replace(good, `"core"`, `"\u001b[2J"`, 1),
		"no time":         strings.Replace(good, "2026-11-22T", "yesterday", 1),
		"longer than any": strings.Repeat(" ", 5000) + good,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			names := s.exported(t, 1)
			put(t, s.medium, media.MarkerFile, []byte(text))
			if w, err := media.Write(t.Context(), s.config(names...)); err == nil || !strings.Contains(err.Error(), media.MarkerFile) {
				t.Errorf("%+v, %v", w, err)
			}
			if r := s.read(t); r.Medium != "" || r.Pool != (media.Pool{}) || len(r.Warnings) == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
	s := newSite(t)
	put(t, s.medium, media.MarkerFile, []byte(good))
	if w := s.write(t, s.exported(t, 1)...); w.Medium != "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d" {
		t.Errorf("the good one: %+v", w)
	}
	linked := newSite(t)
	check(t, os.Symlink(filepath.Join(s.medium, media.MarkerFile), filepath.Join(linked.medium, media.MarkerFile)))
	if _, err := media.Write(t.Context(), linked.config(linked.exported(t, 1)...)); err == nil {
		t.Error("a link was taken for a marker")
	}
}

// A file in the outbox that is not what it should be never gets onto a medium
// under a bundle's name.
func TestABadOutboxFileIsNotCarried(t *testing.T) {
	t.Parallel()
	name, raw := made(t, "field", "core", 1, 1000)
	_, other := made(t, "core", "field", 1, 1000)
	flipped := bytes.Clone(raw)
	flipped[len(flipped)-3] ^= 1
	for what, bad := range map[string]struct {
		raw  []byte
		code bundle.Code
	}{
		"one bit":           {flipped, bundle.Damaged},
		"cut off":           {raw[:len(raw)-1], bundle.Incomplete},
		"no bundle":         {[]byte("hello, world"), bundle.Damaged},
		"another direction": {other, bundle.Refused},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			put(t, s.outbox, name, bad.raw)
			_, err := media.Write(t.Context(), s.config(name))
			if bundle.CodeOf(err) != bad.code || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
			for _, n := range list(t, s.medium) {
				if n != media.MarkerFile {
					t.Errorf("%s is on the medium", n)
				}
			}
		})
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	c := s.config(names...)
	c.Meter.Add = func(int64) { cancel() }
	if _, err := media.Write(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if slices.Contains(list(t, s.medium), names[0]) {
		t.Error("what was not read back has its name")
	}
}

func TestTheMeterCountsAll(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 3)
	var total, sum int64
	meter := media.Meter{Start: func(n int64) { total += n }, Add: func(n int64) { sum += n }}
	c := s.config(names...)
	c.Meter = meter
	_, err := media.Write(t.Context(), c)
	check(t, err)
	if total == 0 || sum != total {
		t.Errorf("writing: %d of %d", sum, total)
	}
	total, sum = 0, 0
	r := s.reading()
	r.Meter = meter
	_, err = media.Read(t.Context(), r)
	check(t, err)
	if total == 0 || sum != total {
		t.Errorf("reading: %d of %d", sum, total)
	}
}

func TestTheOperatorsSerialWins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.config(s.exported(t, 1)...)
	c.Serial = "blue stick 7"
	w, err := media.Write(t.Context(), c)
	check(t, err)
	if w.Serial != (media.Serial{Text: "blue stick 7", From: media.ByOperator}) {
		t.Errorf("%+v", w.Serial)
	}
	for _, bad := range []string{"a\x1b[2Jb", "a\nb", "\xff", strings.Repeat("x", 201)} {
		if media.CheckSerial(bad) == nil {
			t.Errorf("%q is a serial", bad)
		}
	}
	if err := media.CheckSerial("Ünal 7 (№ 3)"); err != nil {
		t.Error(err)
	}
}
