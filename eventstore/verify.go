package eventstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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
	// Witnessed counts the places where the chain was held against what another
	// site has signed.
	Witnessed int64 `json:"witnessed"`
	OK        bool  `json:"ok"`
	// BadPosition and Problem name the first thing that is wrong.
	BadPosition int64  `json:"bad_position,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

// Checks is what a log is held against beside itself. The zero value is nothing.
type Checks struct {
	// Schema says why an event's data does not satisfy its JSON Schema; nil: nobody does.
	Schema func(eventType string, version int, data []byte) error
	// Witnesses are in the order of positions.
	Witnesses []Witness
	// Progress is told of events that were read, one page after the other; nil: nobody is.
	Progress func(events int64)
}

// Witness is what somebody else keeps of a log's chain.
type Witness struct {
	Position int64
	Chain    Hash
	By       string // who says so, for people
}

// Verify reads one epoch of the log of one origin as this site holds it, from
// its first position through its last, and recomputes its chain: every byte of
// every line, contiguity, the columns taken from the lines, and the chain at
// the end against what the head or the link's cursor says. What is wrong with
// the log is in the result; the error is about reading it. A sound log that holds
// what this program is too old to read gives a [*domain.UnknownEventError].
//
// The database reads the next page while this one is checked by all
// processors; two pages of at most [MaxPageBytes] are in memory.
func (s *Store) Verify(ctx context.Context, e Epoch, c Checks) (Verified, error) {
	v := &verification{store: s, checks: c, result: Verified{Origin: e.Origin, Epoch: e.Epoch, Through: e.After},
		good: e.After, chain: Genesis(e.Epoch, e.Origin), runs: &withheldRuns{store: s, origin: e.Origin, after: e.After}}
	if err := v.walk(ctx, e); err != nil {
		return Verified{}, err
	}
	if v.result.Problem == "" && v.chain != e.Chain {
		v.altered(e.Through, "the head")
	}
	if len(v.checks.Witnesses) > 0 && v.result.Problem == "" {
		w := v.checks.Witnesses[0]
		v.bad(e.Through+1, fmt.Sprintf("%s has signed that the log reached position %d: its end is missing", w.By, w.Position))
	}
	if v.newer != nil && v.result.Problem == "" {
		return Verified{}, fmt.Errorf("the log of %s at position %d: %w", e.Origin, v.newerAt, v.newer)
	}
	if v.suspicious {
		if err := v.locate(ctx); err != nil {
			return Verified{}, err
		}
	}
	v.result.OK = v.result.Problem == ""
	return v.result, nil
}

type verification struct {
	store  *Store
	checks Checks
	runs   *withheldRuns
	result Verified
	chain  Hash
	seq    int64 // of the last line: an origin's lines are stored in its order
	good   int64 // the last position where the chain was found to be as it was witnessed
	// suspicious: somewhere after good, through BadPosition, a line was altered.
	suspicious bool
	// newer is what this program is too old to read, first at newerAt; nil: nothing.
	// If the chain proves it to be what was written, nothing is wrong with the log.
	newer   *domain.UnknownEventError
	newerAt int64
}

func (v *verification) bad(pos int64, problem string) {
	v.result.BadPosition, v.result.Problem = pos, problem
}

func (v *verification) altered(through int64, by string) {
	if v.newer != nil && v.newerAt > v.good {
		v.bad(v.newerAt, fmt.Sprintf("%v; and the line was altered: the chain at position %d is another than that of %s", v.newer, through, by))
		return
	}
	v.suspicious = true
	v.bad(through, fmt.Sprintf("the chain at position %d is another than that of %s: a line between %d and %[1]d was altered", through, by, v.good+1))
}

// walk checks page after page and reads one ahead.
func (v *verification) walk(ctx context.Context, e Epoch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan verifiedPage)
	go func() {
		defer close(pages)
		for after := e.After; ; {
			p := v.store.verifiable(ctx, e.Origin, after, e.Through)
			select {
			case pages <- p:
			case <-ctx.Done():
				return
			}
			if p.err != nil || len(p.lines) == 0 {
				return
			}
			after = p.lines[len(p.lines)-1].Pos
		}
	}()
	for p := range pages {
		if p.err != nil {
			return p.err
		}
		if err := v.page(ctx, p.lines, e.Through); err != nil || v.result.Problem != "" {
			return err
		}
	}
	return ctx.Err()
}

func (v *verification) page(ctx context.Context, lines []verifiable, through int64) error {
	v.examine(lines)
	for _, line := range lines {
		if err := v.skip(ctx, line.Pos-1); err != nil {
			return err
		}
		if v.next(line); v.result.Problem != "" {
			return nil
		}
	}
	if v.checks.Progress != nil {
		v.checks.Progress(int64(len(lines)))
	}
	if len(lines) == 0 {
		if err := v.skip(ctx, through); err != nil {
			return err
		}
		if v.result.Through < through && v.result.Problem == "" {
			v.bad(v.result.Through+1, "the position is missing")
		}
	}
	return nil
}

// skip passes over the withheld runs before a position.
func (v *verification) skip(ctx context.Context, before int64) error {
	for v.result.Through < before && v.result.Problem == "" {
		w, err := v.runs.next(ctx)
		if err != nil {
			return err
		}
		if w == nil || w.After != v.result.Through || w.Through > before {
			return nil // next finds the hole
		}
		v.result.Withheld += w.Through - w.After
		v.result.Through, v.chain = w.Through, w.Chain
		v.witness()
	}
	return nil
}

// next takes the next line, which was examined, into the chain.
func (v *verification) next(line verifiable) {
	switch want := v.result.Through + 1; {
	case v.result.Problem != "":
		return
	case line.Pos != want:
		v.bad(want, fmt.Sprintf("the position is missing; the next one here is %d", line.Pos))
		return
	case line.Seq <= v.seq:
		v.bad(line.Pos, fmt.Sprintf("it is stored as seq %d, before the position that precedes it", line.Seq))
		return
	}
	if newer := new(domain.UnknownEventError); errors.As(line.wrong, &newer) {
		if v.newer == nil || v.newerAt <= v.good {
			v.newer, v.newerAt = newer, line.Pos
		}
	} else if line.wrong != nil {
		v.bad(line.Pos, line.wrong.Error())
	}
	v.chain = v.chain.link(line.digest)
	v.result.Events++
	v.result.Through, v.seq = line.Pos, line.Seq
	v.witness()
}

// witness holds the chain against what others have signed of this position.
func (v *verification) witness() {
	for len(v.checks.Witnesses) > 0 && v.result.Problem == "" {
		w := v.checks.Witnesses[0]
		switch {
		case w.Position > v.result.Through:
			return
		case w.Position == v.result.Through && w.Chain != v.chain:
			v.altered(w.Position, w.By)
		case w.Position == v.result.Through:
			v.result.Witnessed++
			v.good = w.Position
		}
		v.checks.Witnesses = v.checks.Witnesses[1:]
	}
}

// verifiable is a stored line with all that the database says of it, and what
// was found in it by itself.
type verifiable struct {
	Seq, Pos                      int64
	ID, Stream, Type, Actor, Corr string
	Ver                           int64
	At                            time.Time
	Line                          []byte
	digest                        Hash
	wrong                         error
}

type verifiedPage struct {
	lines []verifiable
	err   error
}

const selectVerifiable = `
	SELECT seq, pos, id::text, stream, type, actor, corr, ver, at, line FROM (
		SELECT *, octet_length(line) AS bytes, sum(octet_length(line)) OVER (ORDER BY pos ROWS UNBOUNDED PRECEDING) AS through_here
		FROM (SELECT seq, pos, id, stream, type, actor, corr, ver, at, line FROM events
		      WHERE origin = $1 AND pos > $2 AND pos <= $3 ORDER BY pos LIMIT $4) AS page) AS measured
	WHERE through_here <= $5 OR through_here = bytes ORDER BY pos`

// verifyPage is how many lines are examined together.
const verifyPage = 2000

func (s *Store) verifiable(ctx context.Context, origin string, after, through int64) verifiedPage {
	rows, err := s.pool.Query(ctx, selectVerifiable, origin, after, through, verifyPage, MaxPageBytes)
	if err != nil {
		return verifiedPage{err: fmt.Errorf("read the log of %s: %w", origin, err)}
	}
	lines, err := pgx.AppendRows(make([]verifiable, 0, verifyPage), rows, func(row pgx.CollectableRow) (l verifiable, err error) {
		err = row.Scan(&l.Seq, &l.Pos, &l.ID, &l.Stream, &l.Type, &l.Actor, &l.Corr, &l.Ver, &l.At, &l.Line)
		return l, err
	})
	if err != nil {
		err = fmt.Errorf("read the log of %s: %w", origin, err)
	}
	return verifiedPage{lines, err}
}

// examine looks at each line by itself, on all processors.
func (v *verification) examine(lines []verifiable) {
	var parts sync.WaitGroup
	for part := range slices.Chunk(lines, len(lines)/runtime.GOMAXPROCS(0)+1) {
		parts.Go(func() {
			for i := range part {
				part[i].digest = sha256.Sum256(part[i].Line)
				part[i].wrong = part[i].examine(v.checks)
			}
		})
	}
	parts.Wait()
}

func (l *verifiable) examine(c Checks) error {
	e, err := decodeLine(l.Line)
	if err != nil {
		return err
	}
	if e.Pos != l.Pos || e.ID != l.ID || e.Stream != l.Stream || e.Type != l.Type || e.Actor != l.Actor || e.Corr != l.Corr ||
		e.Ver != l.Ver || !e.At.Equal(l.At) {
		return errors.New("the columns do not say what the line says")
	}
	if _, err := domain.Decode(e); err != nil {
		return err
	}
	if c.Schema != nil {
		return c.Schema(e.Type, e.Schema, e.Data)
	}
	return nil
}

// A row that was changed is written anew. By the number of the transaction that
// wrote it, it is younger than the row behind it, and so are those that were
// changed together with it. A backup that was restored has forgotten that.
const selectYoungest = `
	WITH part AS (
		SELECT pos, xmin::text AS writer, age(xmin) AS age, lead(age(xmin)) OVER (ORDER BY pos) AS next_age
		FROM events WHERE origin = $1 AND pos > $2 AND pos <= $3 + 1)
	SELECT coalesce(min(pos), 0) FROM part
	WHERE pos <= $3 AND writer = (SELECT writer FROM part WHERE next_age > age ORDER BY next_age - age DESC LIMIT 1)`

// locate looks for the line that was altered where the chain tells only that
// one was. It is a hint for people, and decides nothing.
func (v *verification) locate(ctx context.Context) error {
	var pos int64
	err := v.store.pool.QueryRow(ctx, selectYoungest, v.result.Origin, v.good, v.result.BadPosition).Scan(&pos)
	if err != nil {
		return fmt.Errorf("look for the line that was altered: %w", err)
	}
	if pos > 0 {
		v.bad(pos, v.result.Problem+fmt.Sprintf("; the row at %d was written after the row behind it", pos))
	}
	return nil
}

// byPosition is the order of witnesses.
func byPosition(a, b Witness) int { return cmp.Compare(a.Position, b.Position) }

// SortWitnesses brings witnesses into the order in which Verify wants them.
func SortWitnesses(all []Witness) { slices.SortStableFunc(all, byPosition) }
