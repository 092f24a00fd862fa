package searchresponder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"sallyport/domain"
	"sallyport/responders"
)

const contentType = "application/json"

// Respond answers one question. Every error is a [*responders.Failure].
func (r *Responder) Respond(ctx context.Context, q responders.Question) (responders.Answer, error) {
	node, ok := r.sources[q.Config.Source]
	if !ok {
		return responders.Answer{}, errUnknownSource.By(nil)
	}
	limit := q.Config.TimeLimit()
	s, indices, f := prepare(q, limit)
	if f != nil {
		return responders.Answer{}, f
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := node.ask(ctx, indices, s, q.MaxBytes)
	if err != nil {
		return responders.Answer{}, failure(ctx, err)
	}
	return answer, nil
}

// prepare makes the search and says where.
func prepare(q responders.Question, limit time.Duration) (search, []string, *responders.Failure) {
	if q.Config.Search == nil {
		return search{}, nil, errBadTemplate.By(nil)
	}
	indices := domain.NarrowIndices(q.Config.Search.Indices, q.Indices)
	if slices.ContainsFunc(indices, func(i string) bool { return !domain.ValidIndex(i) }) {
		return search{}, nil, errBadTemplate.By(nil)
	}
	if len(indices) == 0 {
		return search{}, nil, errNoIndex.By(nil)
	}
	t, err := compile(q.Config.Search.Body, nil)
	if err != nil {
		return search{}, nil, errBadTemplate.By(err)
	}
	s, err := t.fill(q.Params, q.MaxResults, limit)
	if err != nil {
		f := errBadParameter.By(err)
		if bind := new(BindError); errors.As(err, &bind) {
			f.Text = bind.Error()
		}
		return search{}, nil, f
	}
	return s, indices, nil
}

// how: an answer in part is none; who asks again is asked the same copies, so
// that equal scores keep their order.
const how = "allow_partial_search_results=false&ignore_unavailable=false&expand_wildcards=open&preference=sallyport"

// ask is the only place that calls an engine, and it only ever searches.
func (s *source) ask(ctx context.Context, indices []string, asked search, maxBytes int) (responders.Answer, error) {
	where := url.URL{Path: "/" + strings.Join(indices, ",") + "/_search", RawQuery: how}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(asked.body))
	if err != nil {
		return responders.Answer{}, fmt.Errorf("make the call: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", contentType)
	res, err := s.client.Perform(req)
	if res != nil {
		defer res.Body.Close()
	}
	switch {
	case err != nil:
		return responders.Answer{}, err
	case res.StatusCode != http.StatusOK:
		return responders.Answer{}, refusal(res)
	}
	return read(res.Body, asked, maxBytes)
}

// maxRefusal bounds what is read of a refusal, in bytes.
const maxRefusal = 64 << 10

var errorKind = regexp.MustCompile(`^[a-z_]{1,64}$`)

// refusal reads an error: its kinds, which the engines name after their own
// classes, and the reason of the first.
func refusal(res *http.Response) error {
	type one struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
	var said struct {
		Error struct {
			one
			RootCause []one `json:"root_cause"`
		} `json:"error"`
	}
	out := &StatusError{Status: res.StatusCode}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil || json.Unmarshal(b, &said) != nil {
		return out
	}
	for _, e := range append(said.Error.RootCause, said.Error.one) {
		if errorKind.MatchString(e.Type) {
			out.Kinds = append(out.Kinds, e.Type)
		}
		if out.reason == "" {
			out.reason = e.Reason
		}
	}
	return out
}
