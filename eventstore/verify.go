package eventstore

import (
	"context"
	"fmt"

	"sallyport/domain"
)

// Verified is what a verification of one origin's log found.
type Verified struct {
	Origin  string `json:"origin"`
	Epoch   string `json:"epoch"`
	Through int64  `json:"through"` // the last position that was held against the chain
	Events  int64  `json:"events"`
	// Withheld counts the positions that are not here; of the own log they are lost.
	Withheld int64 `json:"withheld"`
	OK       bool  `json:"ok"`
	// BadPosition and Problem name the first thing that is wrong.
	BadPosition int64  `json:"bad_position,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

// Verify reads one epoch of the log of one origin as this site holds it, from
// its first position through its last, and recomputes its chain: every byte of
// every line, contiguity, the columns taken from the lines, and the chain at
// the end against what the head or the link's cursor says. What is wrong with
// the log is in the result; the error is about reading it.
func (s *Store) Verify(ctx context.Context, e Epoch) (Verified, error) {
	v := &verification{result: Verified{Origin: e.Origin, Epoch: e.Epoch, Through: e.After}, chain: Genesis(e.Epoch, e.Origin)}
	runs := &withheldRuns{store: s, origin: e.Origin, after: e.After}
	for v.result.Through < e.Through && v.result.Problem == "" {
		if err := v.page(ctx, s, runs, e.Through); err != nil {
			return Verified{}, err
		}
	}
	if v.result.Problem == "" && v.chain != e.Chain {
		v.bad(e.Through, "the chain ends in another value than the head: a line before it was altered")
	}
	v.result.OK = v.result.Problem == ""
	return v.result, nil
}

type verification struct {
	result Verified
	chain  Hash
}

func (v *verification) bad(pos int64, problem string) {
	v.result.BadPosition, v.result.Problem = pos, problem
}

func (v *verification) page(ctx context.Context, s *Store, runs *withheldRuns, through int64) error {
	lines, err := s.ReadLines(ctx, v.result.Origin, v.result.Through, through, MaxPage)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := v.skip(ctx, runs, line.Pos-1); err != nil {
			return err
		}
		if v.check(line); v.result.Problem != "" {
			return nil
		}
	}
	if len(lines) == 0 {
		if err := v.skip(ctx, runs, through); err != nil {
			return err
		}
		if v.result.Through < through && v.result.Problem == "" {
			v.bad(v.result.Through+1, "the position is missing")
		}
	}
	return nil
}

// skip passes over the withheld runs before a position.
func (v *verification) skip(ctx context.Context, runs *withheldRuns, before int64) error {
	for v.result.Through < before {
		w, err := runs.next(ctx)
		if err != nil {
			return err
		}
		if w == nil || w.After != v.result.Through || w.Through > before {
			return nil // check finds the hole
		}
		v.result.Withheld += w.Through - w.After
		v.result.Through, v.chain = w.Through, w.Chain
	}
	return nil
}

func (v *verification) check(line Line) {
	if want := v.result.Through + 1; line.Pos != want {
		v.bad(want, fmt.Sprintf("the position is missing; the next one here is %d", line.Pos))
		return
	}
	e, err := decodeLine(line.Bytes)
	switch {
	case err != nil:
		v.bad(line.Pos, err.Error())
	case e.Pos != line.Pos || e.Stream != line.Stream || e.Type != line.Type:
		v.bad(line.Pos, "the columns do not say what the line says")
	default:
		if _, err := domain.Decode(e); err != nil {
			v.bad(line.Pos, err.Error())
		}
	}
	v.chain = v.chain.Next(line.Bytes)
	v.result.Events++
	v.result.Through = line.Pos
}

// withheldRuns reads an origin's runs one after the other.
type withheldRuns struct {
	store  *Store
	origin string
	page   []Withheld
	after  int64
	done   bool
}

func (r *withheldRuns) next(ctx context.Context) (*Withheld, error) {
	if len(r.page) == 0 && !r.done {
		var err error
		if r.page, err = r.store.ReadWithheld(ctx, r.origin, r.after, MaxPage); err != nil {
			return nil, err
		}
		r.done = len(r.page) == 0
	}
	if r.done {
		return nil, nil
	}
	w := r.page[0]
	r.page, r.after = r.page[1:], w.Through
	return &w, nil
}
