package bridge_test

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/schema/schematest"
)

// forAll is what every request site gets.
var forAll = domain.RequestTypeDefined{Name: "airport", Title: "A", Version: 1, Parameters: []byte(`true`), MaxResults: 1}

// star is a response site and the request sites that it serves.
type star struct {
	core  *end
	sites map[string]*end
	asked map[string][]string // the ids of requests, by the site that asked
}

func (s *star) join(t *testing.T, name string) {
	t.Helper()
	site := newEnd(t, name, domain.RequestSite)
	site.addLink(t, s.core.Card())
	s.core.addLink(t, site.Card())
	s.sites[name] = site
}

// round has each site ask so often and everything answered, and carries all of
// it until nothing is due.
func (s *star) round(t *testing.T, times int) {
	t.Helper()
	var answers []eventstore.Write
	for _, name := range slices.Sorted(maps.Keys(s.sites)) {
		for range times {
			id := s.sites[name].submit(t)
			s.asked[name] = append(s.asked[name], id)
			answers = append(answers, eventstore.Write{Stream: domain.ResponseStream(id), Facts: []domain.Fact{
				domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 1, Worker: "w"},
				domain.ResponseFailed{Code: "of-" + name, Error: "this is for " + name + " alone", Attempts: 1}}})
		}
		for _, out := range s.sites[name].exportAll(t, "core") {
			carry(t, s.sites[name], s.core, out.File)
		}
	}
	s.core.receive(t)
	if _, err := s.core.site.Store.Append(t.Context(), eventstore.Append{Actor: "site:core", Writes: answers}); err != nil {
		t.Fatal(err)
	}
	for name, site := range s.sites {
		for _, out := range s.core.exportAll(t, name) {
			carry(t, s.core, site, out.File)
		}
		site.receive(t)
	}
}

// TestManyRequestSites: an answer goes to the site that asked and to no other; a
// site never learns of another's requests, nor that there are any. One that is
// added later gets what it may have of all that was before, and no more.
func TestManyRequestSites(t *testing.T) {
	t.Parallel()
	s := &star{core: newEnd(t, "core", domain.ResponseSite), sites: map[string]*end{}, asked: map[string][]string{}}
	for _, name := range []string{"north", "south", "west"} {
		s.join(t, name)
	}
	s.core.append(t, domain.RequestTypeStream("airport"), forAll)
	s.round(t, 3)
	s.join(t, "late")
	s.round(t, 2)
	for name, site := range s.sites {
		lines := site.mirrored(t, "core")
		var got, want []string
		shared := 0
		for _, l := range lines {
			if id, answer := strings.CutPrefix(l.Stream, "response-"); answer {
				got = append(got, id)
			}
			if l.Type == forAll.EventType() {
				shared++
			}
			for other, ids := range s.asked {
				if tells := strings.Contains(string(l.Bytes), "of-"+other) || slices.ContainsFunc(ids, func(id string) bool {
					return strings.Contains(string(l.Bytes), id)
				}); tells && other != name {
					t.Errorf("%s learns of a request of %s: %s", name, other, l.Bytes)
				}
			}
		}
		for _, id := range s.asked[name] {
			want = append(want, id, id)
		}
		if !slices.Equal(got, want) || shared != 1 {
			t.Errorf("%s has answers to %q, want %q, and %d times what is for all", name, got, want, shared)
		}
		if logs, err := site.VerifyLogs(t.Context(), nil); err != nil || len(logs) != 2 || !logs[0].OK || !logs[1].OK {
			t.Errorf("%s: the logs do not verify: %+v, %v", name, logs, err)
		}
		for other := range s.sites {
			if other != name && len(site.mirrored(t, other)) > 0 {
				t.Errorf("%s has a mirror of %s", name, other)
			}
		}
	}
}

// long is how many requests of another site a log holds before a site is added.
var long = flag.Int("long", 1000, "how many answered requests are in a response site's log before a request site is added to it")

// TestALateSiteIsToldLittle: what is for others is one run to a site that is
// added when the log is long, however much it is.
func TestALateSiteIsToldLittle(t *testing.T) {
	t.Parallel()
	s := &star{core: newEnd(t, "core", domain.ResponseSite), sites: map[string]*end{}, asked: map[string][]string{}}
	s.join(t, "north")
	for at := 0; at < *long; at += 500 {
		s.answered(t, at, min(500, *long-at))
	}
	s.core.append(t, domain.RequestTypeStream("airport"), forAll)
	s.join(t, "late")
	began := time.Now()
	out := s.core.exportOne(t, "late")
	took := time.Since(began)
	carry(t, s.core, s.sites["late"], out.File)
	s.sites["late"].expect(t, bridge.Applied)
	var runs int
	var positions int64
	err := s.sites["late"].site.Owner.QueryRow(t.Context(), `SELECT count(*), sum(through - "after") FROM withheld WHERE origin = 'core'`).Scan(&runs, &positions)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d events were withheld in %d runs; %d bytes were made in %s", positions, out.Through, runs, out.Bytes, took.Round(time.Millisecond))
	if positions < int64(2**long) || runs > 3 || out.Bytes > 16<<10 {
		t.Errorf("%d runs of %d positions in %d bytes", runs, positions, out.Bytes)
	}
}

// answered has n requests of north, from a position on, arrive and be answered.
func (s *star) answered(t *testing.T, after, n int) {
	t.Helper()
	m := eventstore.Mirrored{Origin: "north"}
	var answers []eventstore.Write
	for i := range n {
		id, f := uuid.NewString(), requested()
		e := bundle.Event{Pos: int64(after + i + 1), ID: uuid.NewString(), Stream: domain.RequestStream(id), Ver: 1, Type: f.EventType(), Schema: int64(schematest.Present(f.EventType())),
			At: time.Unix(0, 0).UTC(), Actor: f.User, Corr: id, Data: f.Params}
		m.Events = append(m.Events, domain.Event{Pos: e.Pos, ID: e.ID, Stream: e.Stream, Ver: 1, Type: e.Type, Schema: int(e.Schema), At: e.At, Actor: e.Actor, Corr: e.Corr, Data: e.Data})
		m.Facts, m.Lines = append(m.Facts, f), append(m.Lines, bundle.AppendEvent(nil, e))
		answers = append(answers, eventstore.Write{Stream: domain.ResponseStream(id), Facts: []domain.Fact{
			domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 1, Worker: "w"}, domain.ResponseFailed{Code: "x", Error: "y", Attempts: 1}}})
	}
	if err := s.core.site.Store.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.core.site.Store.Append(t.Context(), eventstore.Append{Actor: "site:core", Writes: answers}); err != nil {
		t.Fatal(err)
	}
}
