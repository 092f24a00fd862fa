package schema

import "github.com/pressly/goose/v3/lock"

// newLocker makes concurrent migrations wait for one another.
func newLocker() (lock.SessionLocker, error) { return lock.NewPostgresSessionLocker() }
