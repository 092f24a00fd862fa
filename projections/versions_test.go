package projections_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/projections/rebuild"
	"sallyport/schema/schematest"
)

// TestVersionsGiveEqualRows: what was written in an older version gives, with
// its event and by a rebuild, the rows that the present version gives, and folds
// to the same state.
func TestVersionsGiveEqualRows(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	grants := []domain.Fact{domain.AccessGranted{RequestType: "airport", MaxResults: 5, Indices: []string{}},
		domain.AccessGranted{RequestType: "books", Indices: []string{"books-*"}}}
	for version := 1; version <= schematest.Present("user.access_granted"); version++ {
		site.Store.WriteAs(map[string]int{"user.access_granted": version})
		appendTo(t, site.Store, domain.UserStream(id(version)), append([]domain.Fact{user(fmt.Sprint("ada", version))}, grants...)...)
	}
	access := func() []any {
		var all []any
		for n := 1; n <= schematest.Present("user.access_granted"); n++ {
			u, err := reader.User(t.Context(), id(n))
			if err != nil {
				t.Fatal(err)
			}
			then, err := projections.StateAt(t.Context(), site.Store, domain.UserStream(id(n)), eventstore.Moment{})
			if err != nil {
				t.Fatal(err)
			}
			state := reflect.ValueOf(then.State).FieldByName("Access").Interface()
			if !reflect.DeepEqual(u.Access, state) {
				t.Errorf("the row says %+v, the state %+v", u.Access, state)
			}
			all = append(all, u.Access)
		}
		return all
	}
	want := map[string]domain.Access{"airport": {MaxResults: 5}, "books": {Indices: []string{"books-*"}}}
	before := access()
	if !reflect.DeepEqual(before, []any{want, want}) {
		t.Errorf("got %+v, want %+v twice", before, want)
	}
	sums := digest(t, site, projections.Scope{})
	if _, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool}, "users"); err != nil {
		t.Fatal(err)
	}
	if after := access(); !reflect.DeepEqual(before, after) || !reflect.DeepEqual(sums, digest(t, site, projections.Scope{})) {
		t.Errorf("rebuilt, it is %+v, was %+v", after, before)
	}
}

// TestSQLReadsThePresentVersions: SQL does not know [domain.Upcast]. Whoever
// gives one of these types another version teaches the SQL both, and says so here.
func TestSQLReadsThePresentVersions(t *testing.T) {
	t.Parallel()
	reads := map[string]int{"request.submitted": 1, "request.cancelled": 1, "request.retried": 1, "response.started": 1, "response.retried": 1,
		"response.recorded": 1, "response.failed": 1, "response.withdrawn": 1, "retention.applied": 1}
	named, seen := regexp.MustCompile(`'([a-z]+\.[a-z_]+)'`), 0
	for _, pattern := range []string{"*.go", "rebuild/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				kind, known := domain.KindOf(m[1])
				if !known {
					continue
				}
				if seen++; reads[kind.Type] != kind.Schema {
					t.Errorf("SQL in %s names %s as of version %d; it is at version %d", file, kind.Type, reads[kind.Type], kind.Schema)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d names of types were found in SQL", seen)
	}
}
