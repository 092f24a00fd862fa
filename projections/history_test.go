package projections_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
	"sallyport/schema/schematest"
)

// history makes events as two sites' logs hold them, without a database.
type history struct {
	t    testing.TB
	logs map[string][]eventstore.Record
}

func newHistory(t testing.TB) *history {
	return &history{t: t, logs: map[string][]eventstore.Record{}}
}

var dawn = time.Date(2026, 3, 1, 6, 0, 0, 123456000, time.UTC)

func (h *history) add(origin, stream string, f domain.Fact) {
	h.t.Helper()
	data, err := domain.Encode(f)
	if err != nil {
		h.t.Fatal(err)
	}
	pos, ver := int64(len(h.logs[origin])+1), int64(1)
	for _, before := range h.logs[origin] {
		if before.Stream == stream {
			ver++
		}
	}
	h.logs[origin] = append(h.logs[origin], eventstore.Record{Origin: origin, Fact: f, Event: domain.Event{
		Pos: pos, Stream: stream, Ver: ver, Type: f.EventType(), Schema: schematest.Present(f.EventType()), At: dawn.Add(time.Duration(pos) * time.Second), Data: data}})
}

// mirrored is a record as the other site decodes it from its line.
func mirrored(t testing.TB, r eventstore.Record) eventstore.Record {
	t.Helper()
	f, err := domain.Decode(r.Event)
	if err != nil {
		t.Fatal(err)
	}
	r.Fact = f
	return r
}

func user(name string) domain.UserRegistered {
	return domain.UserRegistered{Username: name, Email: name + "@example.org", FullName: "Full " + name,
		Role: domain.RoleUser, Profile: "basic", Credential: domain.Credential{Algorithm: "bcrypt", Hash: "$2a$" + name}}
}

func profile(priority int) domain.ProfileDefined {
	return domain.ProfileDefined{Name: "basic", DisplayName: "Basic <&>", Priority: priority, MaxResults: 10,
		Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}}
}

func requestType(name, title string) domain.RequestTypeDefined {
	return domain.RequestTypeDefined{Name: name, Title: title, Version: 1, MaxResults: 10, Public: true,
		Parameters: json.RawMessage(`{ "type" : "object" }`)}
}

func submitted(user, name string) domain.RequestSubmitted {
	return domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: json.RawMessage(`{ "iata" : "<AMS>" }`),
		Name: name, Priority: 5, User: user}
}

func started(attempt int) domain.ResponseStarted {
	return domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: attempt, Worker: "w1"}
}

func recorded(result string, count int) domain.ResponseRecorded {
	return domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(result), ResultCount: count,
		TookMS: 12, Responder: domain.ResponderSQL, ContentType: "application/json"}
}

func failed(attempts int) domain.ResponseFailed {
	return domain.ResponseFailed{Code: "timeout", Error: "took too long", Attempts: attempts}
}

// appendTo stores facts in a site's log, each in the stream before it.
func appendTo(t testing.TB, s *eventstore.Store, stream string, facts ...domain.Fact) []eventstore.Record {
	t.Helper()
	records, err := s.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{
		{Stream: stream, Expected: eventstore.Any, Facts: facts}}})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// carry mirrors what may cross of a site's log, from the beginning.
func carry(t testing.TB, from, to *eventstore.Store) {
	t.Helper()
	records, err := from.Read(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	m := eventstore.Mirrored{Origin: from.Site()}
	for _, r := range records {
		if k, _ := domain.KindOf(r.Type); r.Origin == from.Site() && k.MayLeave(from.Role()) && k.Shows(r.Fact) {
			m.Events, m.Facts, m.Lines = append(m.Events, r.Event), append(m.Facts, r.Fact), append(m.Lines, r.Line)
		}
	}
	if err := to.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func requestSite(t testing.TB) *eventstoreSite {
	return eventstoretest.New(t, eventstoretest.Setup{Inline: projections.Inline()})
}

func responseSite(t testing.TB) *eventstoreSite {
	return eventstoretest.New(t, eventstoretest.Setup{Site: "center", Role: domain.ResponseSite, Inline: projections.Inline()})
}

func id(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

type eventstoreSite = eventstoretest.Site
