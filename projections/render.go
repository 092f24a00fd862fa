package projections

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// RenderResponse returns the body that GET /requests/{id}/response answers
// with, a line feed at its end. What the cache was warmed with and what a miss
// renders are the same bytes. It returns [ErrUnfinished] for a response
// that is not final.
func RenderResponse(r Response) ([]byte, error) {
	if !r.Final() {
		return nil, ErrUnfinished
	}
	body := responseJSON{RequestID: r.RequestID, Status: r.Status, Result: r.Result, ResultCount: r.ResultCount,
		TookMS: r.TookMS, Truncated: r.Truncated, Responder: r.Responder, Cached: r.Cached,
		ContentType: r.ContentType, RecordedAt: domain.Timestamp(r.RecordedAt)}
	if r.Status == domain.StatusFailed {
		body.Error = &errorJSON{Code: r.ErrorCode, Detail: r.ErrorDetail}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fmt.Errorf("render the response to %s: %w", r.RequestID, err)
	}
	return b.Bytes(), nil
}

// ETag returns the strong entity tag (RFC 9110, 8.8.3) of a response, given
// the position of the event that it is rendered from.
func ETag(position int64) string { return `"` + strconv.FormatInt(position, 10) + `"` }
