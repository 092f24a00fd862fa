package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
)

// keyLifetime is how long an idempotency key stands for one submission.
const keyLifetime = 24 * time.Hour

// codeKeyReused is the code of a key that stands for another submission.
const codeKeyReused = "idempotency-key-reused"

var errKeyReused = &domain.Error{Kind: domain.Invalid, Code: codeKeyReused,
	Detail: "this Idempotency-Key was used for another request within 24 hours: take a new key for a new request; nothing was stored"}

// maxClaims bounds how often a key is claimed anew because somebody else
// claimed it at the same moment. Once is enough: their claim is then found.
const maxClaims = 3

// submission is what an idempotency key stands for.
type submission struct {
	user, key string
	body      string // the digest of all that was asked for
}

func (s submission) stream() string { return domain.RequestKeyStream(s.user, s.key) }

// appendOnce stores the writes together with a claim of the key, or finds the
// claim that was stored under it before, which it returns with its seq. It
// looks the key up only if it was used before. The claim goes first, so that a
// repeated call is known by its key before its name is found to be taken.
func (c *Commands) appendOnce(ctx context.Context, by By, s submission, id string, writes []eventstore.Write) (stored []eventstore.Record, claim *eventstore.Record, err error) {
	first := eventstore.Write{Stream: s.stream(), Expected: eventstore.NoStream,
		Facts: []domain.Fact{domain.RequestKeyClaimed{Request: id, Body: s.body}}}
	for range maxClaims {
		stored, err := c.appendAll(ctx, by, append([]eventstore.Write{first}, writes...)...)
		var lost *eventstore.ConflictError
		if !errors.As(err, &lost) || lost.Stream != first.Stream {
			return stored, nil, err
		}
		claim, version, err := c.claimed(ctx, s)
		if err != nil || claim != nil {
			return nil, claim, err
		}
		first.Expected = version
	}
	return nil, nil, conflict("key-in-flight", "this Idempotency-Key is being used at this very moment; nothing was stored, try again")
}

// claimed returns the claim that holds a key, nil if there is none, and the
// version of the key's stream.
func (c *Commands) claimed(ctx context.Context, s submission) (*eventstore.Record, eventstore.Version, error) {
	records, err := c.log.ReadStream(ctx, s.stream())
	if err != nil || len(records) == 0 {
		return nil, eventstore.NoStream, err
	}
	last := records[len(records)-1]
	version := eventstore.Version(last.Ver)
	claim, ok := last.Fact.(domain.RequestKeyClaimed)
	switch {
	case !ok:
		return nil, version, fmt.Errorf("stream %s holds a %s; nothing was stored, run `sallyport audit verify`", last.Stream, last.Type)
	case c.now().Sub(last.At) >= keyLifetime:
		return nil, version, nil
	case claim.Body != s.body:
		return nil, version, errKeyReused
	}
	return &last, version, nil
}

// replayRefused looks whether a submission that is refused now was accepted
// under the same key before; if not, the refusal stands.
func (c *Commands) replayRefused(ctx context.Context, user, key string, digest func() (string, error), refusal error) (*eventstore.Record, error) {
	var refused *domain.Error
	if key == "" || errors.Is(refusal, domain.ErrIdempotencyKey) || !errors.As(refusal, &refused) {
		return nil, refusal
	}
	body, err := digest()
	if err != nil {
		return nil, refusal // of what cannot be stored nothing was
	}
	claim, _, err := c.claimed(ctx, submission{user, key, body})
	if err != nil {
		return nil, err
	}
	if claim == nil {
		return nil, refusal
	}
	return claim, nil
}

// replayed names the request that a claim stands for.
func replayed(claim *eventstore.Record) Stored {
	return Stored{ID: claim.Fact.(domain.RequestKeyClaimed).Request, Replayed: true}
}

// submissionDigest names all that a client asks for. Space between the parts
// of the parameters does not count, the order of their members does.
func submissionDigest(in NewRequest) (string, error) {
	params, err := plainParams(in.Params)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Type     string
		Params   json.RawMessage
		Name     string
		Priority *int
	}{in.Type, params, in.Name, in.Priority})
	if err != nil {
		return "", fmt.Errorf("digest a submission: %w; nothing was stored", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
