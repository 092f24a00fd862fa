package projections

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sallyport/domain"
)

// ErrUnfinished refuses to render a response that is neither answered nor
// failed yet.
var ErrUnfinished = errors.New("there is no answer yet")

type responseJSON struct {
	RequestID   string               `json:"request_id"`
	Status      domain.Status        `json:"status"`
	Result      json.RawMessage      `json:"result"`
	ResultCount int                  `json:"result_count"`
	TookMS      int64                `json:"took_ms"`
	Truncated   bool                 `json:"truncated"`
	Responder   domain.ResponderKind `json:"responder"`
	Cached      bool                 `json:"cached"`
	ContentType string               `json:"content_type,omitempty"`
	RecordedAt  domain.Timestamp     `json:"recorded_at"`
	Error       *errorJSON           `json:"error"`
}

type errorJSON struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Rendered is the body that GET /requests/{id}/response answers with, in three
// parts, so that a result of many megabytes is not copied.
type Rendered [3][]byte

// Len returns the body's length in bytes.
func (b Rendered) Len() int { return len(b[0]) + len(b[1]) + len(b[2]) }

// Bytes returns the body in one piece.
func (b Rendered) Bytes() []byte { return slices.Concat(b[:]...) }

// RenderResponse returns a response's body, a line feed at its end. What the
// cache was warmed with and what a miss renders are the same bytes. It returns
// [ErrUnfinished] for a response that is not final. The result stands in it as
// it is stored, which is without insignificant space.
func RenderResponse(r Response) (Rendered, error) {
	if !r.Final() {
		return Rendered{}, ErrUnfinished
	}
	body := responseJSON{RequestID: r.RequestID, Status: r.Status, ResultCount: r.ResultCount,
		TookMS: r.TookMS, Truncated: r.Truncated, Responder: r.Responder, Cached: r.Cached,
		ContentType: r.ContentType, RecordedAt: domain.Timestamp(r.RecordedAt)}
	if r.Status == domain.StatusFailed {
		body.Error = &errorJSON{Code: r.ErrorCode, Detail: r.ErrorDetail}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return Rendered{}, fmt.Errorf("render the response to %s: %w", r.RequestID, err)
	}
	// Before it stand only the id, whose quotation marks would be escaped, and
	// the status: the first place is the right one.
	head, tail, ok := bytes.Cut(b.Bytes(), []byte(noResult))
	if !ok {
		return Rendered{}, fmt.Errorf("render the response to %s: it has no place for a result", r.RequestID)
	}
	result := []byte(r.Result)
	if len(result) == 0 || r.Status == domain.StatusFailed {
		result = []byte("null")
	}
	return Rendered{append(head[:len(head):len(head)], noResult[:len(noResult)-len("null")]...), result, tail}, nil
}

const noResult = `,"result":null`

// MayChange reports whether a rendered body is a failure, which a retry or a
// cancel takes back; an answer stays for ever.
func MayChange(body []byte) bool {
	const id = len("00000000-0000-0000-0000-000000000000")
	at := len(`{"request_id":"`) + id
	return len(body) > at && bytes.HasPrefix(body[at:], []byte(`","status":"failed"`))
}

// ETag returns the strong entity tag (RFC 9110, 8.8.3) of a response, given
// the position of the event that it is rendered from.
func ETag(position int64) string { return `"` + strconv.FormatInt(position, 10) + `"` }
