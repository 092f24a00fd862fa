package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/dev"
)

// call sends one request to field, as any REST client would, and decodes the
// answer.
func (r *run) call(ctx context.Context, method, path string, body, into any) (int, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.stack.Field.URL+path, content)
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			return res.StatusCode, fmt.Errorf("%s %s: %d %.200s: %w", method, path, res.StatusCode, raw, err)
		}
	}
	return res.StatusCode, nil
}

// logIn logs in on the request site as a user made on the response site.
func (r *run) logIn(ctx context.Context) error {
	var account dev.Account
	for _, a := range r.stack.Accounts {
		if a.Username == "wide" {
			account = a
		}
	}
	var got struct {
		Token string `json:"access_token"`
	}
	status, err := r.call(ctx, http.MethodPost, "/auth/login", map[string]string{"username": account.Username, "password": account.Password}, &got)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("log in on field as %s: status %d: %w", account.Username, status, errors.Join(err, errStatus))
	}
	r.token = got.Token
	r.tell("logged in on field as %s, a user made on core whose account came by bundle", account.Username)
	return nil
}

var errStatus = errors.New("not the expected status")

type problem struct {
	Title  string `json:"title"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

// askWrongly submits the one invalid request: it must be refused by name of
// the field, before anything crosses.
func (r *run) askWrongly(ctx context.Context) error {
	var p problem
	status, err := r.call(ctx, http.MethodPost, "/requests", map[string]any{"type": "airport", "params": map[string]any{"iata": "not a code"}}, &p)
	if err != nil {
		return err
	}
	if status != http.StatusUnprocessableEntity || len(p.Errors) == 0 || !strings.HasSuffix(p.Errors[0].Pointer, "/iata") {
		return fmt.Errorf("an invalid request: status %d, errors %v: %w", status, p.Errors, errStatus)
	}
	r.summary.Refused++
	r.tell("an invalid request was refused with 422: %s %s", p.Errors[0].Pointer, p.Errors[0].Detail)
	return nil
}

func (r *run) submit(ctx context.Context, q *question) error {
	var got struct {
		ID string `json:"id"`
	}
	status, err := r.call(ctx, http.MethodPost, "/requests", map[string]any{"type": q.typ.Name, "params": q.params}, &got)
	if err != nil {
		return err
	}
	if status != http.StatusAccepted || got.ID == "" {
		return fmt.Errorf("submit %s %s: status %d: %w", q.typ.Name, q.params, status, errStatus)
	}
	q.id = got.ID
	return nil
}

const (
	// patience is how long one answer may take to cross twice.
	patience  = 45 * time.Second
	askAgain  = 100 * time.Millisecond
	pathOfAll = "/requests/"
)

// fetch asks for the answer until it is there, and compares it.
func (r *run) fetch(ctx context.Context, q *question) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var got struct {
			Status string           `json:"status"`
			Result []map[string]any `json:"result"`
			Error  *struct {
				Code   string `json:"code"`
				Detail string `json:"detail"`
			} `json:"error"`
		}
		status, err := r.call(ctx, http.MethodGet, pathOfAll+q.id+"/response", nil, &got)
		switch {
		case err != nil:
			return fmt.Errorf("the answer to %s %s did not come: %w", q.typ.Name, q.params, err)
		case status == http.StatusOK && got.Status == "answered":
			return r.compare(q, got.Result)
		case status == http.StatusOK:
			q.failed = true
			return nil
		case status != http.StatusAccepted:
			return fmt.Errorf("fetch the answer of %s: status %d: %w", q.id, status, errStatus)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the answer to %s %s did not come in %s", q.typ.Name, q.params, patience)
		case <-time.After(askAgain):
		}
	}
}
