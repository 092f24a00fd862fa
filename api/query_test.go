package api_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/projections"
)

// Whatever a list is in the order of, its cursors lead through all of it.
func TestListsByNameGoOn(t *testing.T) {
	t.Parallel()
	names := []string{"01a22a58-ced7-7571-b639-7a4be11abd14", "a", "elasticsearch." + strings.Repeat("x", 64), "site.banner"}
	var got []string
	for cursor, more := "", true; more; more = cursor != "" {
		page, err := api.PageOfNames(names, 1, cursor)
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		got, cursor = append(got, page.Items...), page.NextCursor
	}
	if !slices.Equal(got, names) {
		t.Errorf("the pages hold %v", got)
	}
	for _, text := range []string{"42\nfield", "Bad", "\xff", strings.Repeat("x", 101)} {
		if _, err := api.PageOfNames(names, 1, base64.RawURLEncoding.EncodeToString([]byte(text))); !errors.Is(err, projections.ErrCursor) {
			t.Errorf("cursor of %q: %v", text, err)
		}
	}
}
