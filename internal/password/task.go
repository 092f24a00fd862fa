package password

import (
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// task is a password to be hashed, in this process or another.
type task struct {
	Password string
	// Bcrypt is a hash to compare the password with; empty: argon2id makes a
	// digest of it by what follows.
	Bcrypt         string
	Salt           []byte
	Memory, Passes uint32
	Lanes          uint8
	Size           uint32
}

// answer is what became of a task.
type answer struct {
	Digest []byte
	Same   bool // the password is that of the bcrypt hash
}

func (t task) do() answer {
	if t.Bcrypt != "" {
		return answer{Same: bcrypt.CompareHashAndPassword([]byte(t.Bcrypt), []byte(t.Password)) == nil}
	}
	return answer{Digest: argon2.IDKey([]byte(t.Password), t.Salt, t.Passes, t.Memory, t.Lanes, t.Size)}
}
