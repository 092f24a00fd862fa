package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport/domain"
	"sallyport/projections"
)

// message is the body of a delivery.
type message struct {
	Type      domain.Notice    `json:"type"`
	Timestamp domain.Timestamp `json:"timestamp"` // when the answer was recorded
	Data      outcome          `json:"data"`
}

// outcome says what became of a request, and where its answer is.
type outcome struct {
	RequestID   string        `json:"request_id"`
	RequestType string        `json:"request_type"`
	RequestName *string       `json:"request_name"` // null: it has none
	Status      domain.Status `json:"status"`
	ResultCount int           `json:"result_count"`
	ErrorCode   *string       `json:"error_code"` // null unless it failed
	Response    string        `json:"response"`   // the path of the answer
}

// recorded is what a message takes from an event's line.
type recorded struct {
	At   domain.Timestamp `json:"at"`
	Data struct {
		ResultCount int    `json:"result_count"`
		Code        string `json:"code"`
	} `json:"data"`
}

// newMessage makes a message of the event that brought an outcome. What the
// request's state is meanwhile does not matter: each outcome is told once.
func newMessage(eventType string, line []byte, q projections.Request) (message, error) {
	var e recorded
	if err := json.Unmarshal(line, &e); err != nil {
		return message{}, fmt.Errorf("read the event of an outcome: %w", err)
	}
	m := message{Type: domain.NoticeAnswered, Timestamp: e.At, Data: outcome{RequestID: q.ID, RequestType: q.Type,
		Status: domain.StatusAnswered, ResultCount: e.Data.ResultCount, Response: "/requests/" + q.ID + "/response"}}
	if eventType == (domain.ResponseFailed{}).EventType() {
		m.Type, m.Data.Status, m.Data.ErrorCode = domain.NoticeFailed, domain.StatusFailed, &e.Data.Code
	}
	if q.Name != "" {
		m.Data.RequestName = &q.Name
	}
	return m, nil
}

// maxReply is how much of an answer is read, so that the connection can be
// used again; nothing looks at it.
const maxReply = 64 << 10

// post makes one attempt and returns the status that the server answered. Its
// error says nothing of what the server sent.
func post(ctx context.Context, client *http.Client, to, id, secret string, m message, now time.Time) (status int, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return 0, fmt.Errorf("encode a message: %w", err)
	}
	signer, err := standard.NewWebhook(secret)
	if err != nil {
		return 0, err
	}
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return 0, fmt.Errorf("sign a message: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make a delivery: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sallyport-webhook/1")
	r.Header.Set(standard.HeaderWebhookID, id)
	r.Header.Set(standard.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standard.HeaderWebhookSignature, signature)
	got, err := client.Do(r)
	if err != nil {
		return 0, reason(err)
	}
	_, err = io.CopyN(io.Discard, got.Body, maxReply)
	_ = got.Body.Close() // what matters has been read
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("the answer of the server broke off: %w", err)
	}
	return got.StatusCode, nil
}

// reason leaves the URL out of an error of the client: it may hold a token.
func reason(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // it is what Do returns
		return fmt.Errorf("the server could not be reached: %w", e.Err)
	}
	return err
}
