package domain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Past folds a stream's events into what they amount to, for people who ask how
// things stood. It uses the very Apply by which commands are decided. The
// fields of its results are for reading, and hold no secret.
type Past struct {
	fold  func(e Event, f Fact)
	shown func() any
}

// NewPast begins with the stream as it was before its first event.
func NewPast(stream string) Past {
	for _, p := range pasts {
		if strings.HasPrefix(stream, p.prefix) {
			return p.begin()
		}
	}
	return lastFacts()
}

// Apply takes the next event in. Those of `request-` and `response-` streams of
// the same id go into one past, in any order.
func (p Past) Apply(e Event) error {
	f, err := Decode(e)
	if err != nil {
		return err
	}
	p.fold(e, f)
	return nil
}

// State is what the events so far amount to; it encodes as a JSON object, or
// null where what there was has ended.
func (p Past) State() any { return p.shown() }

var pasts = []struct {
	prefix string
	begin  func() Past
}{
	{"user-", func() Past { return pastOf(User{}, User.Apply, userThen) }},
	{"profile-", func() Past { return pastOf(Profile{}, Profile.Apply, profileThen) }},
	{"requesttype-", func() Past { return pastOf(RequestType{}, RequestType.Apply, requestTypeThen) }},
	{"responderconfig-", func() Past {
		return pastOf(ResponderConfig{}, ResponderConfig.Apply, func(r ResponderConfig) any { return orNull(r.Now()) })
	}},
	{"setting-", func() Past {
		return pastOf(Setting{}, Setting.Apply, func(s Setting) any { return orNull(s.Now()) })
	}},
	{"work-", func() Past { return pastOf(Work{}, Work.Apply, workThen) }},
	{"request-", pastOfRequest},
	{"response-", pastOfRequest},
	{"site-", func() Past { return pastOf(siteThen{}, siteThen.apply, func(s siteThen) any { return s }) }},
}

func pastOf[S any](state S, apply func(S, Fact) S, show func(S) any) Past {
	return Past{fold: func(_ Event, f Fact) { state = apply(state, f) }, shown: func() any { return show(state) }}
}

// orNull keeps a nil pointer from becoming a value that is not nil.
func orNull[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

func userThen(u User) any {
	n := u.Now()
	return struct {
		Username string            `json:"username"`
		Email    string            `json:"email"`
		FullName string            `json:"full_name"`
		Role     UserRole          `json:"role"`
		Profile  string            `json:"profile"`
		Active   bool              `json:"active"`
		Limits   LimitsOverridden  `json:"limits"`
		Access   map[string]Access `json:"access"`
	}{n.Username, n.Email, n.FullName, n.Role, n.Profile, n.Active, n.Limits, n.Access}
}

func profileThen(p Profile) any {
	return struct {
		ProfileDefined
		Retired bool `json:"retired"`
	}{p.Definition(), p.retired}
}

func requestTypeThen(t RequestType) any {
	return struct {
		RequestTypeDefined
		Retired bool `json:"retired"`
	}{t.Definition(), t.retired}
}

func workThen(w Work) any {
	then := struct {
		Open    bool       `json:"open"`
		Task    ManualTask `json:"task"`
		Holder  string     `json:"holder"` // empty: nobody claimed it
		Until   *Timestamp `json:"until"`
		Outcome Status     `json:"outcome"` // empty: none yet
	}{Open: w.Open(), Task: w.task, Holder: w.holder, Outcome: w.outcome}
	if w.holder != "" {
		then.Until = new(Timestamp(w.until))
	}
	return then
}

// requestThen is a request and what was known of its answer.
type requestThen struct {
	Request *RequestSubmitted `json:"request"` // null: it is not known here
	Status  Status            `json:"status"`
	// Answer is the fact that the status rests on; null: nobody has begun.
	Answer *factThen `json:"answer"`
}

type factThen struct {
	Type string `json:"type"`
	At   string `json:"at"`
	Data Fact   `json:"data"`
}

func pastOfRequest() Past {
	var then requestThen
	var asked Asked
	return Past{
		fold: func(e Event, f Fact) {
			if submitted, ok := f.(RequestSubmitted); ok {
				then.Request = &submitted
			}
			before := asked
			if asked = asked.Apply(f, e.Pos); asked != before && AnswerStatus(f) != "" {
				then.Answer = &factThen{Type: e.Type, At: e.At.UTC().Format(TimeLayout), Data: f}
			}
		},
		shown: func() any {
			then.Status = asked.Status()
			return then
		},
	}
}

// siteThen is what a site had said of itself and its links.
type siteThen struct {
	Site     string              `json:"site"`
	Role     Role                `json:"role"`
	Epoch    string              `json:"epoch"`
	Key      string              `json:"key,omitempty"` // the one that it changed to; absent: that of its first card
	Peers    map[string]peerThen `json:"peers"`
	Withheld []PositionWithheld  `json:"withheld,omitempty"`
}

type peerThen struct {
	Role    Role      `json:"role"`
	Epoch   string    `json:"epoch"`
	Stopped *string   `json:"stopped"` // why; null: it was not
	Removed *string   `json:"removed"`
	Revoked []SiteKey `json:"revoked,omitempty"` // keys that are not believed any more
}

func (s siteThen) apply(f Fact) siteThen {
	if s.Peers = maps.Clone(s.Peers); s.Peers == nil {
		s.Peers = map[string]peerThen{}
	}
	switch f := f.(type) {
	case SiteFounded:
		s.Site, s.Role, s.Epoch = f.Site, f.Role, f.Epoch
	case SiteRefounded:
		s.Epoch = f.Epoch
	case KeyRotated:
		s.Key = f.New.ID
	case PositionWithheld:
		s.Withheld = append(slices.Clip(s.Withheld), f)
	case PeerAdded:
		s.Peers[f.Peer] = peerThen{Role: f.Role, Epoch: f.Epoch, Revoked: s.Peers[f.Peer].Revoked}
	case PeerRemoved:
		s.peer(f.Peer, func(p *peerThen) { p.Removed = &f.Reason })
	case LinkStopped:
		s.peer(f.Peer, func(p *peerThen) { p.Stopped = &f.Reason })
	case LinkResumed:
		s.peer(f.Peer, func(p *peerThen) { p.Stopped = nil })
	case PeerKeyRevoked:
		s.peer(f.Peer, func(p *peerThen) { p.Revoked = append(slices.Clip(p.Revoked), f.Revoked) })
	}
	return s
}

func (s siteThen) peer(name string, change func(*peerThen)) {
	p := s.Peers[name]
	change(&p)
	s.Peers[name] = p
}

// lastFacts is the past of streams without rules of their own: the last fact of
// each type.
func lastFacts() Past {
	last := map[string]any{}
	return Past{
		fold: func(e Event, _ Fact) {
			data, _, err := Shown(e)
			if err != nil { // a secret that nobody knows how to leave out
				last[e.Type] = fmt.Sprintf("not shown: %v", err)
				return
			}
			last[e.Type] = data
		},
		shown: func() any { return last },
	}
}
