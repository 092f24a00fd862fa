package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"sallyport/domain"
	"sallyport/eventstore"
)

// MaxBatch bounds the requests of one batch.
const MaxBatch = 100

// NewBatch is the command to submit several requests at once.
type NewBatch struct {
	User string
	// Key is the client's own mark of the whole batch; empty: none.
	Key string
	// Admit is that of [NewRequest], asked about all of them together.
	Admit func(context.Context, []domain.Fact) error
	// Items are 1 to [MaxBatch] requests; their User, Key and Admit are not read.
	Items []NewRequest
}

// StoredBatch is what became of a batch.
type StoredBatch struct {
	Requests []domain.RequestSubmitted // empty after a replay
	Items    []Stored                  // of the requests, in the order in which they were given
	// Replayed says that nothing was stored: the key led to the batch that was
	// made before, of whose items only the ID is told.
	Replayed bool
}

// SubmitRequests stores several requests in one append: all of them or none.
// Their events stand beside one another in the log, in the order given. A
// refusal names everything that is wrong with any of them, by JSON Pointer from
// the batch's body.
func (c *Commands) SubmitRequests(ctx context.Context, by By, in NewBatch) (StoredBatch, error) {
	if err := c.only(domain.RequestSite, "requests are submitted"); err != nil {
		return StoredBatch{}, err
	}
	facts, err := c.decideBatch(ctx, in)
	if err == nil && in.Admit != nil {
		err = in.Admit(ctx, facts)
	}
	if err != nil {
		claim, err := c.replayRefused(ctx, in.User, in.Key, in.digest, err)
		if err != nil {
			return StoredBatch{}, err
		}
		return c.replayedBatch(ctx, in, claim)
	}
	ids := make([]string, len(facts))
	for i := range ids {
		if ids[i], err = newID(); err != nil {
			return StoredBatch{}, err
		}
	}
	writes, names := in.writes(ids, facts)
	stored, claim, err := c.submit(ctx, by, in.User, in.Key, in.digest, ids[0], writes)
	if err != nil {
		return StoredBatch{}, taken(err, names)
	}
	if claim != nil {
		return c.replayedBatch(ctx, in, claim)
	}
	return batchOf(ids, stored[len(stored)-len(ids):]), nil
}

func batchOf(ids []string, stored []eventstore.Record) StoredBatch {
	var out StoredBatch
	for i, r := range stored {
		place := placeOf(r)
		place.ID = ids[i]
		out.Items = append(out.Items, place)
		out.Requests = append(out.Requests, r.Fact.(domain.RequestSubmitted))
	}
	return out
}

// writes are the claims of all names, then the requests: those stand together.
// names are the refusals of a name that is taken.
func (in NewBatch) writes(ids []string, facts []domain.Fact) (writes []eventstore.Write, names map[string]*domain.Error) {
	names = map[string]*domain.Error{}
	for i, item := range in.Items {
		if item.Name == "" {
			continue
		}
		stream := domain.RequestNameStream(in.User, item.Name)
		refusal := nameTaken(item.Name)
		refusal.Fields = []domain.FieldError{{Pointer: itemPointer(i, "/name"), Code: domain.FieldTaken, Detail: "names a request that you have already"}}
		names[stream] = refusal
		writes = append(writes, eventstore.Write{Stream: stream, Facts: []domain.Fact{domain.RequestNameClaimed{Request: ids[i]}}})
	}
	for i, f := range facts {
		writes = append(writes, eventstore.Write{Stream: domain.RequestStream(ids[i]), Facts: []domain.Fact{f}})
	}
	return writes, names
}

func itemPointer(i int, pointer string) string { return "/items/" + strconv.Itoa(i) + pointer }

// decideBatch decides each item, so that a person hears of everything at once.
func (c *Commands) decideBatch(ctx context.Context, in NewBatch) ([]domain.Fact, error) {
	if n := len(in.Items); n < 1 || n > MaxBatch {
		return nil, invalid("invalid-batch", "/items", domain.FieldTooMany, fmt.Sprintf("must be a list of 1 to %d requests", MaxBatch))
	}
	var wrong refusals
	facts := make([]domain.Fact, 0, len(in.Items))
	first := map[string]int{} // the item that has a name
	for i, item := range in.Items {
		item.User, item.Key = in.User, in.Key
		decided, err := c.decideRequest(ctx, item)
		var refused *domain.Error
		switch {
		case errors.Is(err, domain.ErrIdempotencyKey):
			return nil, err
		case errors.As(err, &refused):
			wrong.add(i, refused)
		case err != nil:
			return nil, err
		}
		if j, doubled := first[item.Name]; doubled && item.Name != "" {
			wrong.add(i, invalid("", "/name", domain.FieldTwice, fmt.Sprintf("is the name of item %d too", j)))
		} else {
			first[item.Name] = i
		}
		facts = append(facts, decided...)
	}
	return facts, wrong.err()
}

// refusals gathers what is wrong with the items of a batch.
type refusals struct {
	fields []domain.FieldError
	other  bool // something else than a type that is not allowed
}

func (r *refusals) add(item int, refused *domain.Error) {
	r.other = r.other || refused.Kind != domain.Forbidden
	if len(refused.Fields) == 0 {
		r.fields = append(r.fields, domain.FieldError{Pointer: itemPointer(item, "/type"), Code: domain.FieldNotAllowed, Detail: refused.Detail})
	}
	for _, f := range refused.Fields {
		f.Pointer = itemPointer(item, f.Pointer)
		r.fields = append(r.fields, f)
	}
}

func (r *refusals) err() error {
	if len(r.fields) == 0 {
		return nil
	}
	e := &domain.Error{Kind: domain.Invalid, Code: "invalid-batch", Fields: r.fields}
	if !r.other {
		e.Kind, e.Code = domain.Forbidden, "type-not-allowed"
	}
	e.Detail = fmt.Sprintf("the batch is refused: %s %s; nothing was stored", r.fields[0].Pointer, r.fields[0].Detail)
	return e
}

// digest names all that a batch asks for; no single request has the same.
func (in NewBatch) digest() (string, error) {
	h := sha256.New()
	for _, item := range in.Items {
		one, err := submissionDigest(item)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, one)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// replayedBatch finds what was stored with a claim: the events after it, as
// far as they belong to the same append.
func (c *Commands) replayedBatch(ctx context.Context, in NewBatch, claim *eventstore.Record) (StoredBatch, error) {
	records, err := c.log.Read(ctx, claim.Seq, 2*MaxBatch)
	if err != nil {
		return StoredBatch{}, err
	}
	out := StoredBatch{Replayed: true}
	for _, r := range records {
		switch f := r.Fact.(type) {
		case domain.RequestNameClaimed:
			continue
		case domain.RequestSubmitted:
			if f.User == in.User && f.IdempotencyKey == in.Key {
				id, _ := domain.RequestOf(r.Stream)
				out.Items = append(out.Items, Stored{ID: id})
				continue
			}
		}
		break
	}
	return out, nil
}
