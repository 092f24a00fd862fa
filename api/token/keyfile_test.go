package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keyFile is a file as a site begins with it: one key, without a time.
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.pem")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (KeyFile{[]datedKey{{key: key}}}).write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a server that has the keys of a file, at a moment.
func process(t *testing.T, path string, now *time.Time) *Authority {
	t.Helper()
	f, err := ReadKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signing, verifying := f.At(*now)
	a, err := New(Config{Site: "core", Signing: signing, Verifying: verifying, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority) string {
	t.Helper()
	text, err := a.Issue("user-1", "")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// At every moment of a rotation, what any process signs is believed by every
// other, for as long as a token lives.
func TestRotationLogsNobodyOut(t *testing.T) {
	t.Parallel()
	path := keyFile(t)
	began := time.Now().Truncate(time.Second)
	now := began
	before := process(t, path, &now) // read the file before it was changed
	first := issue(t, before)
	made, err := Rotate(path, now, false)
	if err != nil {
		t.Fatal(err)
	}
	after := process(t, path, &now)
	if _, err := before.Verify(issue(t, after)); err != nil {
		t.Error("a process that knows the new key signs with it before others know it")
	}
	now = began.Add(settle - time.Second) // by now everyone has read the file
	if issue(t, process(t, path, &now)) == "" || process(t, path, &now).keys.Load().kid == made.KeyID {
		t.Error("the new key signs too early")
	}
	now = began.Add(settle)
	after = process(t, path, &now)
	if after.keys.Load().kid != made.KeyID || !made.SignsFrom.Equal(now) {
		t.Errorf("from its time on %s signs, not the new key", after.keys.Load().kid)
	}
	last := issue(t, before) // by a process that is late by a moment
	now = began.Add(Lifetime - time.Second)
	for _, text := range []string{first, last} {
		if _, err := process(t, path, &now).Verify(text); err != nil {
			t.Errorf("a token of the old key: %v", err)
		}
	}
	now = made.OldUntil
	if _, verifying := mustRead(t, path).At(now); len(verifying) != 1 {
		t.Errorf("%d keys are believed in the end, want 1", len(verifying))
	}
	if _, err := Rotate(path, now, false); err != nil {
		t.Fatal(err)
	}
	if f := mustRead(t, path); len(f.keys) != 2 {
		t.Errorf("%d keys are in the file after the second rotation, want 2: the first is of no use", len(f.keys))
	}
}

func mustRead(t *testing.T, path string) KeyFile {
	t.Helper()
	f, err := ReadKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAStolenKeyIsNotBelieved(t *testing.T) {
	t.Parallel()
	path := keyFile(t)
	now := time.Now()
	a := process(t, path, &now)
	stolen := issue(t, a)
	if _, err := a.Verify(stolen); err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(path, now, true); err != nil {
		t.Fatal(err)
	}
	if err := a.SetKeys(mustRead(t, path).At(now)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(stolen); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token that was verified before: %v", err)
	}
	if _, err := a.Verify(issue(t, a)); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

// A running process takes up what is in the file, and what is wrong with it
// changes nothing.
func TestFollow(t *testing.T) {
	t.Parallel()
	path := keyFile(t)
	now := time.Now()
	a := process(t, path, &now)
	old := a.keys.Load().kid
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Follow(ctx, path, slog.New(slog.DiscardHandler)) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := os.WriteFile(path+".bad", []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := mustRead(t, path)
	if err := os.Rename(path+".bad", path); err != nil {
		t.Fatal(err)
	}
	if a.keys.Load().kid != old {
		t.Error("a bad file changed the keys")
	}
	if err := good.write(path); err != nil {
		t.Fatal(err)
	}
	made, err := Rotate(path, now, true)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Second); a.keys.Load().kid != made.KeyID; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the new key was not taken up")
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	t.Parallel()
	path := keyFile(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := string(good)
	dated := func(from string) string {
		return strings.Replace(block, "-----\n", "-----\nSigns-From: "+from+"\n\n", 1)
	}
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "text behind": block + "hello", "another type": strings.ReplaceAll(block, "PRIVATE", "PUBLIC"),
		"cut off": block[:len(block)/2], "no time": dated("tomorrow"), "twice": block + block,
		"out of order": dated("2026-02-01T00:00:00Z") + dated("2026-01-01T00:00:00Z"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyFile(path); err == nil || strings.Contains(err.Error(), block[40:60]) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Rotate(path, time.Now(), false); err == nil {
			t.Errorf("%s was rotated", name)
		}
	}
	if _, err := ReadKeyFile(path + ".none"); err == nil {
		t.Error("a file that is not there was read")
	}
	if info, err := os.Stat(keyFile(t)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is for others too: %v, %v", info.Mode(), err)
	}
}
