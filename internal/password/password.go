package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"sallyport/domain"
)

var (
	// ErrBusy is returned at once when too many hashes are waiting.
	ErrBusy = errors.New("too many passwords are being checked; try again in a moment")
	// ErrCredential says that a stored credential cannot be used; it does not
	// show it.
	ErrCredential = errors.New("the stored credential is of no known form: set a new password for this user")
)

// The algorithms of credentials.
const (
	Argon2id = "argon2id"
	Bcrypt   = "bcrypt"
)

// MaxBytes bounds a password that is checked; what is longer matches nothing.
// It leaves room for 128 characters of any script.
const MaxBytes = 4 * 128

// What new credentials are made with (OWASP Password Storage Cheat Sheet).
const (
	memoryKiB = 46 << 10
	passes    = 1
	lanes     = 1
	saltBytes = 16
	keyBytes  = 32
)

// Config bounds the work. The zero value is fit for use.
type Config struct {
	// Slots is how many hashes run at once; 0 means half of the processors, so
	// that a flood of logins leaves room for those who are logged in.
	Slots int
	// Queue is how many may wait for a slot; 0 means 256.
	Queue int
}

// Hasher makes and checks credentials. It is safe for concurrent use.
type Hasher struct {
	slots  chan *worker // those that have nothing to do
	queue  chan struct{}
	nobody phc
	done   atomic.Int64
}

// New returns a hasher.
func New(c Config) *Hasher {
	if c.Slots <= 0 {
		c.Slots = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Queue <= 0 {
		c.Queue = 256
	}
	h := &Hasher{
		slots: make(chan *worker, c.Slots),
		queue: make(chan struct{}, c.Slots+c.Queue),
		// A random digest: no password leads to it.
		nobody: phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: random(saltBytes), key: random(keyBytes)},
	}
	for range c.Slots {
		h.slots <- &worker{}
	}
	return h
}

// Hash makes a credential of a password that [domain.CheckPassword] accepts.
func (h *Hasher) Hash(ctx context.Context, password string) (domain.Credential, error) {
	if wrong := domain.CheckPassword(password); len(wrong) > 0 {
		return domain.Credential{}, &domain.Error{Kind: domain.Invalid, Code: "invalid-password", Fields: wrong,
			Detail: "the password is not valid: it " + wrong[0].Detail + "; nothing was stored"}
	}
	made := phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: random(saltBytes)}
	a, err := h.slot(ctx, made.task(password, keyBytes))
	if err != nil {
		return domain.Credential{}, err
	}
	made.key = a.Digest
	return domain.Credential{Algorithm: Argon2id, Hash: made.String()}, nil
}

// Verify reports whether the password belongs to the credential. Errors:
// [ErrBusy], [ErrCredential], or the context's.
func (h *Hasher) Verify(ctx context.Context, c domain.Credential, password string) (bool, error) {
	switch c.Algorithm {
	case Argon2id:
		stored, err := parsePHC(c.Hash)
		if err != nil {
			return false, err
		}
		return h.matches(ctx, stored, password)
	case Bcrypt:
		return h.bcrypt(ctx, c.Hash, password)
	}
	return false, ErrCredential
}

// Nobody does the work of Verify for a user who does not exist.
func (h *Hasher) Nobody(ctx context.Context, password string) error {
	_, err := h.matches(ctx, h.nobody, password)
	return err
}

func (h *Hasher) matches(ctx context.Context, stored phc, password string) (bool, error) {
	fits := len(password) <= MaxBytes
	if !fits {
		password = password[:MaxBytes]
	}
	a, err := h.slot(ctx, stored.task(password, uint32(len(stored.key))))
	return err == nil && fits && subtle.ConstantTimeCompare(a.Digest, stored.key) == 1, err
}

// maxBcryptCost keeps a credential brought from elsewhere from taking minutes.
const maxBcryptCost = 14

func (h *Hasher) bcrypt(ctx context.Context, hash, password string) (bool, error) {
	// $2y$ is what PHP calls the same function.
	hash = strings.Replace(hash, "$2y$", "$2b$", 1)
	if err := checkBcrypt(hash); err != nil {
		return false, err
	}
	if len(password) > MaxBytes {
		return false, nil
	}
	a, err := h.slot(ctx, task{Password: password, Bcrypt: hash})
	return a.Same, err
}

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

func checkBcrypt(hash string) error {
	if !bcryptForm.MatchString(hash) {
		return ErrCredential
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost > maxBcryptCost {
		return ErrCredential
	}
	return nil
}

// slot does a task in one of the slots.
func (h *Hasher) slot(ctx context.Context, t task) (answer, error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return answer{}, ErrBusy
	}
	defer func() { <-h.queue }()
	select {
	case w := <-h.slots:
		defer func() { h.slots <- w }()
		a := w.do(t)
		h.done.Add(1)
		return a, nil
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// Done returns how many passwords were hashed since the hasher was made.
func (h *Hasher) Done() int64 { return h.done.Load() }

// Load returns how many hashes run now, and how many wait for their turn.
func (h *Hasher) Load() (running, waiting int) {
	running = cap(h.slots) - len(h.slots)
	return running, max(0, len(h.queue)-running)
}

// phc is an argon2id digest with its parameters.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// task makes a digest of so many bytes of a password.
func (p phc) task(password string, size uint32) task {
	return task{Password: password, Salt: p.salt, Memory: p.memory, Passes: p.passes, Lanes: p.lanes, Size: size}
}

// String gives the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$digest.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// Bounds of what a stored credential may ask for.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 10
	maxLanes     = 8
	maxField     = 64
)

func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != Argon2id || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, ErrCredential
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, ErrCredential
	}
	var saltErr, keyErr error
	p.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	p.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	// One encoding a value: what does not come out as it went in is refused.
	if saltErr != nil || keyErr != nil || !p.bounded() || p.String() != s {
		return p, ErrCredential
	}
	return p, nil
}

func (p phc) bounded() bool {
	return p.memory >= 8*uint32(p.lanes) && p.memory <= maxMemoryKiB && p.passes >= 1 && p.passes <= maxPasses &&
		p.lanes >= 1 && p.lanes <= maxLanes && len(p.salt) >= 8 && len(p.salt) <= maxField &&
		len(p.key) >= 16 && len(p.key) <= maxField
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// Check reports whether a credential that comes from elsewhere could ever be
// verified: [ErrCredential] if not. It hashes nothing.
func Check(c domain.Credential) error {
	switch c.Algorithm {
	case Argon2id:
		_, err := parsePHC(c.Hash)
		return err
	case Bcrypt:
		return checkBcrypt(c.Hash)
	}
	return ErrCredential
}
