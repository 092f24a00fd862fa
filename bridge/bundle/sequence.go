package bundle

import (
	"errors"
	"fmt"
)

// sequence holds that lines run from one end of a span to the other without a
// hole: positions, chain and number of events. Writer and reader share it.
type sequence struct {
	first  First
	pos    int64 // last position seen
	from   int64 // the position the line being added begins at
	chain  Hash  // at pos
	events int
}

var (
	errLines    = errors.New("more lines than the limit")
	errPlain    = errors.New("more decompressed bytes than the limit")
	errChain    = errors.New("the chain does not lead to core.chain.through")
	errPosition = errors.New("position does not follow from the line before")
)

func newSequence(first First) *sequence {
	s := &sequence{first: first, pos: first.Span.Range.After, chain: first.Span.Chain.After}
	s.from = s.pos + 1
	return s
}

func (s *sequence) event(pos int64, line []byte) error {
	s.from = s.pos + 1
	if pos != s.from || pos > s.first.Span.Range.Through {
		return errPosition
	}
	if s.events++; s.events > s.first.Events {
		return fmt.Errorf("more events than the %d announced", s.first.Events)
	}
	if s.pos = pos; s.first.Span.Kind != Archive {
		s.chain = s.chain.Next(line)
	}
	return nil
}

// note is a line of an archive that is no entry.
func (s *sequence) note() error {
	s.from = s.pos + 1
	return rule(s.first.Span.Kind == Archive, "only an archive has notes")
}

func (s *sequence) withheld(run Withheld) error {
	s.from = s.pos + 1
	if run.After != s.pos || run.Through > s.first.Span.Range.Through {
		return errPosition
	}
	s.pos, s.chain = run.Through, run.Chain
	return nil
}

func (s *sequence) end() error {
	span := s.first.Span
	if s.pos != span.Range.Through {
		return fmt.Errorf("lines end at position %d, the range at %d", s.pos, span.Range.Through)
	}
	if s.events != s.first.Events {
		return fmt.Errorf("%d events, %d announced", s.events, s.first.Events)
	}
	if s.chain != span.Chain.Through {
		return errChain
	}
	return nil
}
