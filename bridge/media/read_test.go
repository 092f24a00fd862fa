package media_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge/bundle"
	"sallyport/bridge/media"
)

func TestReadBringsWhatIsForThisSite(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := s.exported(t, 2)
	w := s.write(t, names...)
	r := s.read(t)
	for i, name := range names {
		f := found(t, r, name)
		if f.State != media.Copied || f.SHA256 != w.Files[i].SHA256 || f.ID != w.Files[i].ID || f.Seq != int64(i+1) || f.Reason != "" {
			t.Errorf("%+v", f)
		}
		if !bytes.Equal(get(t, s.inbox, name), get(t, s.outbox, name)) {
			t.Errorf("%s came as other bytes", name)
		}
	}
	if n := len(list(t, s.inbox)); n != 2 || r.Medium != w.Medium || r.Pool != toCore {
		t.Errorf("%d files in the inbox, %+v", n, r)
	}
	again := s.read(t)
	if f := found(t, again, names[0]); f.State != media.Present {
		t.Errorf("%+v", f)
	}
	put(t, s.inbox, names[0], []byte("another one of that name"))
	f := found(t, s.read(t), names[0])
	if f.State != media.Refused || !strings.Contains(f.Reason, "other bytes") || string(get(t, s.inbox, names[0])) != "another one of that name" {
		t.Errorf("%+v", f)
	}
}

// Whatever has a bundle's name and is no file with one name is refused, said
// why, and neither opened nor followed.
func TestReadRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	name := func(seq int) string { return fmt.Sprintf("sp1_field-core_01234567_%010d.jsonl.zst", seq) }
	at := func(seq int) string { return filepath.Join(s.medium, name(seq)) }
	_, raw := made(t, "field", "core", 1, 10)
	secret := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(secret, raw, 0o600))
	put(t, s.medium, "twin", raw)
	why := []string{"symbolic link", "symbolic link", "several names", "pipe", "folder", "socket"}
	check(t, os.Symlink(secret, at(1)))
	check(t, os.Symlink("twin", at(2)))
	check(t, os.Link(filepath.Join(s.medium, "twin"), at(3)))
	check(t, syscall.Mkfifo(at(4), 0o600))
	check(t, os.Mkdir(at(5), 0o700))
	listenAt(t, s.medium, name(6))
	if os.Geteuid() == 0 {
		check(t, syscall.Mknod(at(7), syscall.S_IFCHR|0o600, 1<<8|3))
		why = append(why, "device")
	}
	r := s.read(t)
	for i, word := range why {
		if f := found(t, r, name(i+1)); f.State != media.Refused || !strings.Contains(f.Reason, word) {
			t.Errorf("%s: %+v", word, f)
		}
	}
	if len(list(t, s.inbox)) > 0 {
		t.Errorf("the inbox has %q", list(t, s.inbox))
	}
}

// listenAt makes a socket; its path is made short, as sockets need it.
func listenAt(t *testing.T, dir, name string) {
	t.Helper()
	short, err := os.MkdirTemp("", "s")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "unix", filepath.Join(short, "s"))
	check(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = l.Close() })
	check(t, os.Rename(filepath.Join(short, "s"), filepath.Join(dir, name)))
}

func TestReadListsWhatItLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	mine, raw := made(t, "field", "core", 1, 10)
	other, otherRaw := made(t, "field", "moon", 1, 10)
	false1 := "sp1_field-core_01234567_0000000009.jsonl.zst"
	cut := "sp1_field-core_01234567_0000000008.jsonl.zst"
	wrong := "sp1_field-core_01234567_0000000007.jsonl.zst"
	for name, data := range map[string][]byte{mine: raw, other: otherRaw, false1: otherRaw, cut: raw[:len(raw)-1], wrong: []byte("hello"),
		".DS_Store": nil, "Thumbs.db": {1}, "a\x1b[2J": nil, mine + ".label.txt": nil, strings.ToUpper(mine): raw} {
		put(t, s.medium, name, data)
	}
	check(t, os.Mkdir(filepath.Join(s.medium, "photos"), 0o700))
	put(t, filepath.Join(s.medium, "photos"), mine, raw)
	r := s.read(t)
	for name, want := range map[string]struct{ state, why string }{
		mine:                  {media.Copied, ""},
		other:                 {media.Elsewhere, "not for core"},
		false1:                {media.Elsewhere, "addressed to moon"},
		cut:                   {media.Copied, "ends early"},
		wrong:                 {media.Copied, "manifest cannot be read"},
		".DS_Store":           {media.Ignored, "name"},
		"Thumbs.db":           {media.Ignored, "name"},
		"a\x1b[2J":            {media.Ignored, "name"},
		strings.ToUpper(mine): {media.Ignored, "name"},
		mine + ".label.txt":   {media.Beside, "people"},
		"photos":              {media.Ignored, "folder"},
	} {
		if f := found(t, r, name); f.State != want.state || !strings.Contains(f.Reason, want.why) || want.why == "" && f.Reason != "" {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	if got := list(t, s.inbox); len(got) != 3 {
		t.Errorf("the inbox has %q", got)
	}
	if len(r.Warnings) > 0 || r.Medium != "" || r.Serial.From == media.OfMarker {
		t.Errorf("a medium without a marker: %+v", r)
	}
}

// No size is believed: neither one that grows for ever nor one over the limit
// fills the disk, and what does not keep still is not taken.
func TestReadStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	_, raw := made(t, "field", "core", 1, 1000)
	name := "sp1_field-core_01234567_0000000001.jsonl.zst"
	for what, file := range map[string]struct {
		size int // how long the file is made at first
		grow int // by how much at each reading
		late bool
		why  string
	}{
		"as long as allowed": {size: 1 << 20},
		"one byte more":      {size: 1<<20 + 1, why: "larger than any bundle"},
		"growing for ever":   {size: len(raw), grow: 300 << 10, why: "larger than any bundle"},
		"growing at the end": {size: len(raw), grow: 1, late: true, why: "changed while"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			put(t, s.medium, name, raw)
			path := filepath.Join(s.medium, name)
			check(t, os.Truncate(path, int64(file.size)))
			c := s.reading()
			c.Limits = bundle.Limits{File: 1 << 20}
			c.Meter.Add = func(n int64) {
				if file.grow > 0 && (!file.late || n == 0) {
					appendTo(t, path, file.grow)
				}
			}
			r, err := media.Read(t.Context(), c)
			check(t, err)
			f := found(t, r, name)
			if file.why == "" && f.State != media.Copied || file.why != "" && (f.State != media.Refused || !strings.Contains(f.Reason, file.why)) {
				t.Errorf("%+v", f)
			}
			if file.why != "" && len(list(t, s.inbox)) > 0 {
				t.Errorf("the inbox has %q", list(t, s.inbox))
			}
		})
	}
}

func appendTo(t *testing.T, path string, n int) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.Write(make([]byte, n))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Error(err)
	}
}

func TestReadWarnsOfMixUps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(t, s.exported(t, 1)...)
	for site, word := range map[string]string{"core": "", "field": "LEAVES field", "moon": "not for moon"} {
		c := s.reading()
		c.Site, c.Inbox = site, t.TempDir()
		r, err := media.Read(t.Context(), c)
		check(t, err)
		got := strings.Join(r.Warnings, "\n")
		if word == "" && got != "" || !strings.Contains(got, word) {
			t.Errorf("on %s: %q", site, got)
		}
	}
}

func TestReadOfWhatIsNoMedium(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.reading()
	c.Dir = filepath.Join(s.medium, "nowhere")
	if _, err := media.Read(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for i := range 10_001 {
		put(t, s.medium, fmt.Sprint(i), nil)
	}
	if _, err := media.Read(t.Context(), s.reading()); err == nil || !strings.Contains(err.Error(), "more than 10000 entries") {
		t.Errorf("%v", err)
	}
}
