package password

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sallyport/domain"
)

func TestWhatWasHashedVerifies(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	c, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if c.Algorithm != Argon2id || !strings.HasPrefix(c.Hash, "$argon2id$v=19$m=47104,t=1,p=1$") {
		t.Errorf("credential %q %q", c.Algorithm, c.Hash)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false,
		"correct horse" + strings.Repeat("x", MaxBytes): false} {
		if got, err := h.Verify(t.Context(), c, password); got != want || err != nil {
			t.Errorf("verify %.20q: %v, %v; want %v", password, got, err, want)
		}
	}
	again, err := h.Hash(t.Context(), "correct horse")
	if err != nil || again.Hash == c.Hash {
		t.Errorf("two hashes of one password must differ by their salts (%v)", err)
	}
}

func TestBcryptFromElsewhere(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	hash, err := bcrypt.GenerateFromPassword([]byte("old password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	php := strings.Replace(string(hash), "$2a$", "$2y$", 1)
	for _, hash := range []string{string(hash), php} {
		c := domain.Credential{Algorithm: Bcrypt, Hash: hash}
		if ok, err := h.Verify(t.Context(), c, "old password"); !ok || err != nil {
			t.Errorf("the right password: %v, %v", ok, err)
		}
		if ok, err := h.Verify(t.Context(), c, "old passwort"); ok || err != nil {
			t.Errorf("a wrong password: %v, %v", ok, err)
		}
	}
}

func TestUnusableCredentials(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	const salt, key = "c29tZXNhbHRzYWx0", "AAAAAAAAAAAAAAAAAAAAAA"
	for name, c := range map[string]domain.Credential{
		"unknown algorithm": {Algorithm: "md5", Hash: "x"},
		"no algorithm":      {},
		"not PHC":           {Algorithm: Argon2id, Hash: "argon2id"},
		"another version":   {Algorithm: Argon2id, Hash: "$argon2id$v=16$m=47104,t=1,p=1$" + salt + "$" + key},
		"too much memory":   {Algorithm: Argon2id, Hash: "$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key},
		"too many passes":   {Algorithm: Argon2id, Hash: "$argon2id$v=19$m=47104,t=99,p=1$" + salt + "$" + key},
		"no lanes":          {Algorithm: Argon2id, Hash: "$argon2id$v=19$m=47104,t=1,p=0$" + salt + "$" + key},
		"short digest":      {Algorithm: Argon2id, Hash: "$argon2id$v=19$m=47104,t=1,p=1$" + salt + "$AAAA"},
		"second spelling":   {Algorithm: Argon2id, Hash: "$argon2id$v=19$m=047104,t=1,p=1$" + salt + "$" + key},
		"bcrypt of cost 31": {Algorithm: Bcrypt, Hash: "$2a$31$" + strings.Repeat("a", 53)},
		"no bcrypt":         {Algorithm: Bcrypt, Hash: "$2a$"},
	} {
		if ok, err := h.Verify(t.Context(), c, "password"); ok || !errors.Is(err, ErrCredential) {
			t.Errorf("%s: %v, %v; want ErrCredential", name, ok, err)
		}
	}
}

func TestAFullQueueIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	h := New(Config{Slots: 1, Queue: 1})
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	<-h.slots // as one at work would
	h.queue <- struct{}{}
	h.queue <- struct{}{} // as one who waits would
	if running, waiting := h.Load(); running != 1 || waiting != 1 {
		t.Errorf("%d at work and %d waiting, want one and one", running, waiting)
	}
	if err := h.Nobody(ctx, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("third: %v, want ErrBusy", err)
	}
	<-h.queue
	go func() { second <- h.Nobody(ctx, "x") }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("who stopped waiting: %v", err)
	}
}

func TestPasswordBounds(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	for _, p := range []string{"", "1234567", strings.Repeat("x", 129)} {
		var refused *domain.Error
		if _, err := h.Hash(t.Context(), p); !errors.As(err, &refused) || refused.Fields[0].Pointer != "/password" {
			t.Errorf("password of %d characters: %v", len(p), err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	h := New(Config{})
	c, err := h.Hash(b.Context(), "correct horse")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := h.Verify(b.Context(), c, "correct horse"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkNobody(b *testing.B) {
	h := New(Config{})
	for b.Loop() {
		if err := h.Nobody(b.Context(), "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
