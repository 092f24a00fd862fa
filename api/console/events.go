package console

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/domain"
)

// ofAuditors is what auditors look at on either site.
func ofAuditors() []page {
	who := []domain.UserRole{domain.RoleAuditor, domain.RoleAdmin}
	return []page{
		{key: "events", path: "audit/events", roles: who, area: areaAudit, show: showEvents},
		{key: "event", path: "audit/events/{seq}", roles: who, show: showEvent},
		{key: "stream", path: "audit/streams/{stream}", roles: who, show: showStream},
		{key: "past", path: "audit/past", roles: who, area: areaAudit, show: showPast},
		{key: "verify", path: "audit/verify", roles: who, area: areaAudit, show: (*visit).bare,
			acts: []act{{"audit/verify", verifyLogs}, {"audit/verify/telling", verifyTelling}}},
		{key: "take-away", path: "audit/take-away", roles: who, area: areaAudit, show: showTakeAway},
		{key: "evidence", path: "audit/evidence", roles: who, file: true, show: passEvidence},
		{key: "audit-export", path: "audit/export", roles: who, file: true, show: passExport},
	}
}

// stored is an event as the log has it.
type stored struct {
	Seq      int64           `json:"seq"`
	Origin   string          `json:"origin"`
	Pos      int64           `json:"pos"`
	ID       string          `json:"id"`
	Stream   string          `json:"stream"`
	Ver      int64           `json:"ver"`
	Type     string          `json:"type"`
	At       string          `json:"at"`
	StoredAt string          `json:"stored_at"`
	Actor    string          `json:"actor"`
	Corr     string          `json:"corr"`
	Cause    string          `json:"cause"`
	Data     json.RawMessage `json:"data"`
	Withheld []string        `json:"withheld"`
	// Line is all of it, as it was sent.
	Line json.RawMessage `json:"-"`
}

// Request is the request that the event is of; empty: it is of something else.
func (e stored) Request() string {
	id, ok := domain.RequestOf(e.Stream)
	if !ok {
		return ""
	}
	return id
}

// readEvents reads lines of events.
func readEvents(text []byte) ([]stored, error) {
	var all []stored
	for line := range bytes.Lines(text) {
		var e stored
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		e.Line = bytes.TrimSpace(line)
		all = append(all, e)
	}
	return all, nil
}

// events asks for events.
func (v *visit) events(q url.Values) ([]stored, error) {
	var text []byte
	if err := v.get("/audit/events?"+q.Encode(), &text); err != nil {
		return nil, err
	}
	return readEvents(text)
}

const eventsOfPage = 50

// eventList is a part of the log, by the filter that made it.
type eventList struct {
	pagingLinks
	Items    []stored
	Filter   url.Values
	Filtered bool
	Types    []string
	Kinds    string // of streams whose changes concern it; empty: it is not followed
}

var eventFilters = []string{"type", "stream", "actor", "corr", "origin", "from", "to", "after"}

func showEvents(v *visit) error {
	asked := v.r.URL.Query()
	l := eventList{Filter: url.Values{}}
	for _, k := range domain.Catalogue() {
		l.Types = append(l.Types, k.Type)
	}
	slices.Sort(l.Types)
	call := url.Values{"limit": {strconv.Itoa(eventsOfPage + 1)}}
	for _, name := range eventFilters {
		if value := strings.TrimSpace(asked.Get(name)); value != "" {
			l.Filter.Set(name, value)
			l.Filtered = true
			call.Set(name, momentOf(value))
		}
	}
	onward := l.Filter.Has("after")
	if !onward {
		call.Set("order", "desc")
	}
	before := asked.Get("before")
	if before != "" {
		call.Set("before", before)
	}
	if asked.Get("follow") != "" {
		l.Filter.Set("follow", "1")
		if before == "" && !onward {
			l.Kinds = followed()
		}
	}
	var err error
	if l.Items, err = v.events(call); err != nil {
		return v.again(l, err)
	}
	l.page(onward, before != "")
	return v.show(l)
}

// page cuts the list to a page, and makes the links around it.
func (l *eventList) page(onward, isLater bool) {
	first := url.Values{}
	for name, values := range l.Filter {
		if name != "after" {
			first[name] = values
		}
	}
	if isLater || onward {
		l.First = pageURL("audit/events", first)
	}
	if len(l.Items) <= eventsOfPage {
		return
	}
	l.Items = l.Items[:eventsOfPage]
	last := strconv.FormatInt(l.Items[eventsOfPage-1].Seq, 10)
	if onward {
		first.Set("after", last)
	} else {
		first.Set("before", last)
	}
	l.More = pageURL("audit/events", first)
}

// momentOf makes a moment in UTC of what a field for date and time gives; all
// else is left as it is.
func momentOf(value string) string {
	if len(value) == len("2006-01-02T15:04") && value[10] == 'T' {
		return value + ":00Z"
	}
	if len(value) == len("2006-01-02T15:04:05") && value[10] == 'T' {
		return value + "Z"
	}
	return value
}

// followed are all kinds of streams but those that looking itself writes to:
// a page that follows them would never rest.
func followed() string {
	var kinds []string
	for _, k := range domain.Catalogue() {
		kind, _, _ := strings.Cut(k.Stream, "-")
		if kind != "audit" && kind != "session" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " ")
}

// oneEvent is an event with its hash and what stands beside it.
type oneEvent struct {
	stored
	SHA256 string
	// Before and After are its neighbours in its stream; 0: there is none.
	Before, After int64
}

func showEvent(v *visit) error {
	var found struct {
		Event  json.RawMessage `json:"event"`
		SHA256 string          `json:"sha256"`
	}
	if err := v.get("/audit/events/"+v.part("seq"), &found); err != nil {
		return err
	}
	e := oneEvent{SHA256: found.SHA256}
	if err := json.Unmarshal(found.Event, &e.stored); err != nil {
		return err
	}
	e.Line = found.Event
	here := strconv.FormatInt(e.Seq, 10)
	for to, q := range map[*int64]url.Values{&e.Before: {"before": {here}, "order": {"desc"}}, &e.After: {"after": {here}}} {
		q.Set("stream", e.Stream)
		q.Set("limit", "1")
		beside, err := v.events(q)
		if err != nil {
			return err
		}
		if len(beside) > 0 {
			*to = beside[0].Seq
		}
	}
	return v.show(e)
}

// history is one stream, from its first event on.
type history struct {
	pagingLinks
	Stream string
	Items  []stored
}

func showStream(v *visit) error {
	h := history{Stream: v.r.PathValue("stream")}
	here := "audit/streams/" + v.part("stream")
	q := url.Values{"stream": {h.Stream}, "limit": {strconv.Itoa(eventsOfPage + 1)}}
	if after := v.r.URL.Query().Get("after"); after != "" {
		q.Set("after", after)
		h.First = pageURL(here, nil)
	}
	var err error
	if h.Items, err = v.events(q); err != nil {
		return err
	}
	if len(h.Items) == 0 && h.First == "" {
		return errNoStream
	}
	if len(h.Items) > eventsOfPage {
		h.Items = h.Items[:eventsOfPage]
		h.More = pageURL(here, url.Values{"after": {strconv.FormatInt(h.Items[eventsOfPage-1].Seq, 10)}})
	}
	return v.show(h)
}
