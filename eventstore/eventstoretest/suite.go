package eventstoretest

import (
	"testing"

	"sallyport/eventstore"
)

// Run holds a log to what package eventstore promises of every log, whatever
// its configuration. open makes a new site for each part.
//
//	linearizable   8,000 operations of 32 callers in two processes, by porcupine
//	complete       a reader beside eight writers, some of whose appends fail or are rolled back
//	as the model   random programs of appends against a fold in memory
//	killed         SIGKILL around lock, events, head, commit and answer, by one trip and by two
//	processes      four processes on one log, twelve killed wherever they are, and another in its place
//	altered        rows that were edited, deleted, inserted and reordered by a superuser
//
// The process of the tests is started again to be killed: its TestMain calls
// [Appender] first.
func Run(t *testing.T, open func(t testing.TB) *Site) {
	parts := map[string]func(*testing.T, func(testing.TB) *Site){
		"linearizable": linearizable, "complete": complete, "as the model": asTheModel, "killed": killed,
		"processes": processesKilled, "altered": altered,
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, open)
		})
	}
	t.Run("chain", chained)
}

// Another opens one more store on the site's log, as another process would.
func (s *Site) Another(t testing.TB) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(t.Context(), s.Pool, s.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// Whole reads the whole log and asserts what always holds: no gap, the chain
// over the lines, versions without a hole, no id twice.
func Whole(t testing.TB, s *eventstore.Store) []eventstore.Record {
	t.Helper()
	var records []eventstore.Record
	for {
		page, err := s.Read(t.Context(), int64(len(records)), eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		records = append(records, page...)
	}
	check(t, s, records)
	return records
}

func check(t testing.TB, s *eventstore.Store, records []eventstore.Record) {
	t.Helper()
	chain := eventstore.Genesis(s.Epoch(), s.Site())
	vers, pos, ids := map[string]int64{}, int64(0), map[string]bool{}
	for _, r := range records {
		if r.Origin == s.Site() {
			if pos++; r.Pos != pos {
				t.Fatalf("seq %d has pos %d, want %d", r.Seq, r.Pos, pos)
			}
			chain = chain.Next(r.Line)
		}
		if vers[r.Stream]++; r.Ver != vers[r.Stream] {
			t.Fatalf("seq %d is version %d of %s, want %d", r.Seq, r.Ver, r.Stream, vers[r.Stream])
		}
		if ids[r.ID] {
			t.Fatalf("seq %d: id %s is stored twice", r.Seq, r.ID)
		}
		ids[r.ID] = true
	}
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head.Seq != int64(len(records)) || head.Pos != pos || head.Chain != chain {
		t.Fatalf("the head is at seq %d, pos %d, chain %s; the lines say %d, %d, %s", head.Seq, head.Pos, head.Chain, len(records), pos, chain)
	}
}
