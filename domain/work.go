package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// WorkOpened puts a request before the analysts.
type WorkOpened struct {
	RequestType string `json:"request_type"`
	TypeVersion int    `json:"type_version"`
	Priority    int    `json:"priority"`
	// Question is the same for the same parameters of one type, so that earlier
	// answers are found.
	Question string `json:"question"`
	// Task is what the type's configuration said when the work was opened.
	Task ManualTask `json:"task"`
}

// WorkClaimed says who sees to the work, and until when at the latest. A claim
// that times out needs no event: it is over.
type WorkClaimed struct {
	Holder string    `json:"holder"` // an actor: `user-<id>` or `cli:<os user>`
	Until  Timestamp `json:"until"`
}

// WorkReleased says that nobody sees to the work any more.
type WorkReleased struct {
	Holder string `json:"holder"` // whose claim it was
	Reason string `json:"reason"`
}

// WorkClosed says that there is nothing to do any more. What became of the
// request is an event of its answer, stored together with this one.
type WorkClosed struct {
	Outcome Status `json:"outcome"` // answered, failed or withdrawn
}

// EventType implements [Fact].
func (WorkOpened) EventType() string { return "work.opened" }

// EventType implements [Fact].
func (WorkClaimed) EventType() string { return "work.claimed" }

// EventType implements [Fact].
func (WorkReleased) EventType() string { return "work.released" }

// EventType implements [Fact].
func (WorkClosed) EventType() string { return "work.closed" }

// WorkStream returns the stream of an analyst's work on the request of the same
// id. It never leaves the response site.
func WorkStream(request string) string { return "work-" + request }

// Work is the state that the rules about an analyst's work need. The zero value
// is a request that no analyst was asked to answer.
type Work struct {
	opened  bool
	outcome Status // empty: it is open
	task    ManualTask
	holder  string // empty: nobody
	until   time.Time
}

// Open reports whether there is something to do.
func (w Work) Open() bool { return w.opened && w.outcome == "" }

// Task returns what the work was opened with.
func (w Work) Task() ManualTask { return w.task }

// Holder returns whose claim is the last that was not released, and until when
// it lasts; empty: nobody's.
func (w Work) Holder() (holder string, until time.Time) { return w.holder, w.until }

// held reports whether somebody's claim lasts.
func (w Work) held(now time.Time) bool { return w.holder != "" && now.Before(w.until) }

// WorkCommand is what may be asked of work: [WorkOpened], which is its own
// command, [ClaimWork], [ReleaseWork], [CloseWork] and [EndWork].
type WorkCommand interface {
	decide(w Work) ([]Fact, error)
}

// Decide returns the facts that a command leads to.
func (w Work) Decide(c WorkCommand) ([]Fact, error) { return c.decide(w) }

// What is open already is not opened twice; what was closed is opened anew when
// its request is asked again.
func (c WorkOpened) decide(w Work) ([]Fact, error) {
	if w.Open() {
		return nil, nil
	}
	return []Fact{c}, nil
}

// ClaimWork is an analyst who sees to the work from now on. Who claims again
// prolongs the claim.
type ClaimWork struct {
	By  string // the actor
	Now time.Time
	For time.Duration // how long the claim lasts
}

func (c ClaimWork) decide(w Work) ([]Fact, error) {
	switch {
	case !w.Open():
		return nil, w.refuseClosed()
	case w.held(c.Now) && w.holder != c.By:
		return nil, w.refuseHeld()
	}
	return []Fact{WorkClaimed{Holder: c.By, Until: Timestamp(c.Now.Add(c.For).UTC().Truncate(time.Microsecond))}}, nil
}

// ReleaseWork hands work back.
type ReleaseWork struct {
	By  string
	Now time.Time
	// Others lets the claim of somebody else be ended, as administrators may.
	Others bool
	Reason string
}

func (c ReleaseWork) decide(w Work) ([]Fact, error) {
	switch {
	case !w.Open():
		return nil, w.refuseClosed()
	case w.holder != c.By && w.held(c.Now) && !c.Others:
		return nil, w.refuseHeld()
	case w.holder != c.By && !w.held(c.Now):
		return nil, refuse(Conflict, "work-not-claimed", "nobody has claimed this work, or the claim has ended by itself: there is nothing to hand back, and nothing was changed")
	}
	var f fieldErrors
	f.text("/reason", c.Reason, 0, maxRequestReason)
	return []Fact{WorkReleased{Holder: w.holder, Reason: c.Reason}}, f.err("reason")
}

// CloseWork is the outcome that an analyst records, who must hold the claim.
type CloseWork struct {
	By      string
	Now     time.Time
	Outcome Status
}

func (c CloseWork) decide(w Work) ([]Fact, error) {
	switch {
	case !w.Open():
		return nil, w.refuseClosed()
	case w.held(c.Now) && w.holder != c.By:
		return nil, w.refuseHeld()
	case w.holder != c.By:
		return nil, refuse(Conflict, "work-not-claimed", "you have not claimed this work: claim it first; nothing was stored")
	case !w.held(c.Now):
		return nil, refuse(Conflict, "work-not-claimed", "your claim ended at %s: claim the work again, then send this again; nothing was stored", w.until.Format(TimeLayout))
	}
	return []Fact{WorkClosed{Outcome: c.Outcome}}, nil
}

// EndWork is an outcome that the site records, whoever holds a claim. What is
// not open leads to no facts.
type EndWork struct{ Outcome Status }

func (c EndWork) decide(w Work) ([]Fact, error) {
	if !w.Open() {
		return nil, nil
	}
	return []Fact{WorkClosed(c)}, nil
}

func (w Work) refuseClosed() error {
	if !w.opened {
		return refuse(NotFound, "not-found", "there is no such work: see GET /work; nothing was changed")
	}
	what := "was answered already: the first answer stands"
	switch w.outcome {
	case StatusFailed:
		what = "has failed already: whoever asked may ask again"
	case StatusWithdrawn:
		what = "was cancelled: nobody waits for an answer any more"
	}
	return refuse(Conflict, "work-closed", "this request %s; nothing was stored", what)
}

func (w Work) refuseHeld() error {
	return refuse(Conflict, "work-claimed", "somebody else has claimed this work until %s; nothing was stored", w.until.Format(TimeLayout))
}

// Apply returns the state after a fact.
func (w Work) Apply(f Fact) Work {
	switch f := f.(type) {
	case WorkOpened:
		return Work{opened: true, task: f.Task}
	case WorkClaimed:
		w.holder, w.until = f.Holder, time.Time(f.Until)
	case WorkReleased:
		w.holder, w.until = "", time.Time{}
	case WorkClosed:
		w.outcome, w.holder, w.until = f.Outcome, "", time.Time{}
	}
	return w
}

// Question names what is asked by parameters that are a JSON value: it is the
// same for the same parameters of one type, in whatever order their members
// stand. A number that is written otherwise is another.
func Question(requestType string, params json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return "", fmt.Errorf("the parameters are no JSON: %w", err)
	}
	ordered, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("put the parameters in order: %w", err)
	}
	sum := sha256.Sum256([]byte(requestType + "\n" + string(ordered)))
	return hex.EncodeToString(sum[:]), nil
}
