package evidence

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/bridge/bundle"
)

// Proof is how well an event is shown.
type Proof string

// From the best to the least.
const (
	// Witnessed: hashes lead to a value that another site than its origin signed,
	// and that its origin signed too.
	Witnessed Proof = "witnessed"
	// Signed: hashes lead to a value that its origin signed.
	Signed Proof = "signed"
	// Attested: its origin withheld something behind it, which breaks the hashes;
	// that it is the line which came in a bundle that the origin signed is what
	// the site says that made the evidence. The origin itself can do better.
	Attested Proof = "attested"
)

// Event is one that the file shows.
type Event struct {
	Origin   string `json:"origin"`
	Position int64  `json:"position"`
	Stream   string `json:"stream"`
	Type     string `json:"type"`
	Proof    Proof  `json:"proof"`
	By       string `json:"by"` // whose signature it rests on
	Line     string `json:"line"`
}

// Result is what a good file shows.
type Result struct {
	Evidence
	SignedBy []string `json:"signed_by"` // key ids
	Events   []Event  `json:"events"`
}

// Check reads a file and proves it with the keys that trust knows. Errors are
// *bundle.Error: [bundle.Damaged] or [bundle.Untrusted].
func Check(raw []byte, trust bundle.Trust) (Result, error) {
	if len(raw) > MaxBytes {
		return Result{}, &bundle.Error{Code: bundle.Refused, Msg: fmt.Sprintf("the file is larger than %d MiB", MaxBytes>>20)}
	}
	text, signers, err := bundle.OpenNote(raw, trust)
	if err != nil {
		return Result{}, err
	}
	e, err := parse(text)
	if err != nil {
		return Result{}, damaged("the text is not evidence of format 1", err)
	}
	if !slices.ContainsFunc(signers, func(id string) bool { return strings.HasPrefix(id, e.Site+"+") }) {
		return Result{}, &bundle.Error{Code: bundle.Untrusted, Msg: "it is not signed by the site that it names, " + e.Site}
	}
	r := Result{Evidence: e, SignedBy: signers}
	for i, s := range e.Segments {
		shown, err := s.prove(e, trust)
		if err != nil {
			return Result{}, fmt.Errorf("segment %d, of the log of %s: %w", i+1, s.Origin, err)
		}
		r.Events = append(r.Events, shown...)
	}
	if len(r.Events) == 0 {
		return Result{}, damaged("it shows no event", nil)
	}
	return r, nil
}

func damaged(msg string, err error) error {
	return &bundle.Error{Code: bundle.Damaged, Msg: msg, Err: err}
}

// prove walks the segment and says how well each of its lines is shown.
func (s Segment) prove(e Evidence, trust bundle.Trust) ([]Event, error) {
	proof, by, err := s.signature(e, trust)
	if err != nil {
		return nil, err
	}
	var shown []Event
	at, chain := s.After, s.Chain
	for _, i := range s.Items {
		switch {
		case i.Withheld > 0:
			at, chain = at+i.Withheld, *i.Chain
			for n := range shown {
				shown[n].Proof, shown[n].By = Attested, e.Site
			}
			continue
		case i.Digest != nil:
			at, chain = at+1, chain.NextDigest(*i.Digest)
			continue
		}
		at, chain = at+1, chain.Next([]byte(i.Line))
		event, err := s.line(e, i.Line, at)
		if err != nil {
			return nil, err
		}
		event.Proof, event.By = proof, by
		shown = append(shown, event)
	}
	if chain != s.End {
		return nil, damaged(fmt.Sprintf("its hashes do not lead to the chain at position %d that was signed", s.Through), nil)
	}
	return shown, nil
}

// signature finds who signed the segment's end.
func (s Segment) signature(e Evidence, trust bundle.Trust) (proof Proof, by string, err error) {
	if s.Manifest == "" {
		if s.Origin != e.Site {
			return "", "", damaged("nobody signed where it ends", nil)
		}
		return Signed, e.Site, nil
	}
	m, err := bundle.OpenManifest([]byte(s.Manifest), trust)
	if err != nil {
		return "", "", err
	}
	c, a := m.Core, m.Ack
	switch {
	case c.Kind != bundle.Data:
	case c.From == s.Origin && c.Epoch == s.Epoch && c.Range.After <= s.After && c.Range.Through == s.Through && c.Chain.Through == s.End:
		return Signed, s.Origin, nil
	case s.Origin == e.Site && c.From != s.Origin && c.To == s.Origin && a != nil && a.Epoch == s.Epoch && a.Position == s.Through && a.Chain == s.End:
		return Witnessed, c.From, nil
	}
	return "", "", damaged("the manifest with it says nothing of where it ends", nil)
}

// line reads one that is shown, as strictly as one of a bundle. It must be of
// the request or its answer.
func (s Segment) line(e Evidence, text string, at int64) (Event, error) {
	l, err := bundle.ParseLine([]byte(text), bundle.Limits{})
	if err != nil {
		return Event{}, err
	}
	if l.Withheld != nil || l.Event.Pos != at || l.Event.Stream != "request-"+e.Request && l.Event.Stream != "response-"+e.Request {
		return Event{}, damaged(fmt.Sprintf("the line at position %d is of another position or about something else", at), nil)
	}
	return Event{Origin: s.Origin, Position: at, Stream: l.Event.Stream, Type: l.Event.Type, Line: text}, nil
}
