package dataset

import (
	"testing"

	"sallyport/internal/pgdev/pgtest"
)

// database is an empty one of the test's own.
func database(t *testing.T) string {
	t.Helper()
	return pgtest.Database(t, "")
}
