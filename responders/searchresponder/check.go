package searchresponder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sallyport/domain"
)

// maxReason bounds what is shown of an engine's reason, in bytes.
const maxReason = 400

// Check tries a configuration at its source before it is recorded: the template
// holds nothing but what it may, with no parameter but those of names (the
// properties of the request type's schema); the indices exist; and the engine
// accepts the query with all parameters left out that can be, for no rows. It
// returns a [*domain.Error] or, when the source cannot be asked now, a
// [*responders.Failure].
func (r *Responder) Check(ctx context.Context, c domain.ResponderConfigured, names []string) error {
	source, ok := r.sources[c.Source]
	if !ok || c.Search == nil {
		return errUnknownSource.By(nil)
	}
	if names == nil {
		names = []string{}
	}
	t, err := compile(c.Search.Body, names)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.TimeLimit())
	defer cancel()
	s, err := t.fill([]byte(`{}`), 0, c.TimeLimit())
	if err != nil {
		return err
	}
	_, err = source.ask(ctx, c.Search.Indices, s, maxRead)
	var refused *StatusError
	if errors.As(err, &refused) && !byStatus(refused.Status).Retryable {
		return &domain.Error{Kind: domain.Invalid, Code: "invalid-responder", Fields: []domain.FieldError{{Pointer: "/search", Code: domain.FieldRefused, Detail: "is refused by the source"}},
			Detail: fmt.Sprintf("the search is refused by the source: %s (status %d); nothing was stored", shown(refused.reason), refused.Status)}
	}
	if err != nil {
		return failure(ctx, err)
	}
	return nil
}

// shown is an engine's reason, for the administrator who wrote the template.
func shown(reason string) string {
	reason = strings.ToValidUTF8(reason, "")
	for len(reason) > maxReason {
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	if reason == "" {
		return "no reason is given"
	}
	return strings.Join(strings.Fields(reason), " ")
}
