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

// appendOnce stores the writes together with a claim of the key, or finds what
// was stored under it before. It looks the key up only if it was used before.
// The claim goes first, so that a repeated call is known by its key before
// its name is found to be taken.
func (c *Commands) appendOnce(ctx context.Context, by By, in NewRequest, id string, writes []eventstore.Write) (Stored, error) {
	body, err := submissionDigest(in)
	if err != nil {
		return Stored{}, err
	}
	claim := eventstore.Write{Stream: domain.RequestKeyStream(in.User, in.Key), Expected: eventstore.NoStream,
		Facts: []domain.Fact{domain.RequestKeyClaimed{Request: id, Body: body}}}
	for range maxClaims {
		stored, err := c.append(ctx, by, append([]eventstore.Write{claim}, writes...)...)
		var lost *eventstore.ConflictError
		if !errors.As(err, &lost) || lost.Stream != claim.Stream {
			return stored, err
		}
		request, version, err := c.claimed(ctx, claim.Stream, body)
		if err != nil || request != "" {
			return Stored{ID: request, Replayed: request != ""}, err
		}
		claim.Expected = version
	}
	return Stored{}, conflict("key-in-flight", "this Idempotency-Key is being used at this very moment; nothing was stored, try again")
}

// claimed returns the request that a key stands for, empty if there is none,
// and the version of the key's stream.
func (c *Commands) claimed(ctx context.Context, stream, body string) (string, eventstore.Version, error) {
	records, err := c.log.ReadStream(ctx, stream)
	if err != nil || len(records) == 0 {
		return "", eventstore.NoStream, err
	}
	last := records[len(records)-1]
	version := eventstore.Version(last.Ver)
	claim, ok := last.Fact.(domain.RequestKeyClaimed)
	switch {
	case !ok:
		return "", version, fmt.Errorf("stream %s holds a %s; nothing was stored, run `sallyport audit verify`", stream, last.Type)
	case c.now().Sub(last.At) >= keyLifetime:
		return "", version, nil
	case claim.Body != body:
		return "", version, errKeyReused
	}
	return claim.Request, version, nil
}

// replayRefused looks whether a submission that is refused now was accepted
// under the same key before; if not, the refusal stands.
func (c *Commands) replayRefused(ctx context.Context, in NewRequest, refusal error) (Stored, error) {
	var refused *domain.Error
	if in.Key == "" || errors.Is(refusal, domain.ErrIdempotencyKey) || !errors.As(refusal, &refused) {
		return Stored{}, refusal
	}
	body, err := submissionDigest(in)
	if err != nil {
		return Stored{}, refusal // of what cannot be stored nothing was
	}
	request, _, err := c.claimed(ctx, domain.RequestKeyStream(in.User, in.Key), body)
	if err != nil {
		return Stored{}, err
	}
	if request == "" {
		return Stored{}, refusal
	}
	return Stored{ID: request, Replayed: true}, nil
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
