package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sallyport/bridge"
	"sallyport/projections"
)

// Ready is what dev mode tells programs once everything runs.
type Ready struct {
	Ready    bool               `json:"ready"`
	Sites    map[string]SiteURL `json:"sites"`
	Accounts []Account          `json:"accounts"`
}

// SiteURL says how to reach one site and its servers.
type SiteURL struct {
	URL      string  `json:"url"`
	Config   string  `json:"config"`
	Postgres string  `json:"postgres"` // the superuser's connection string
	Redis    *string `json:"redis"`    // null: the cache is in the process
}

// WaitReady returns when every account can log in: on both sites if a courier
// is at work, else on core, and then the first bundles lie in both outboxes,
// ready to be carried.
func (s *Stack) WaitReady(ctx context.Context) (Ready, error) {
	r := Ready{Ready: true, Sites: map[string]SiteURL{}, Accounts: s.Accounts}
	for _, e := range s.ends() {
		r.Sites[e.Name] = SiteURL{URL: e.URL, Config: e.ConfigPath(), Postgres: e.SuperuserDSN(), Redis: e.RedisURL()}
	}
	at := []*End{s.Core}
	if s.config.CarryEvery > 0 {
		at = s.ends()
	}
	for _, e := range at {
		for _, a := range s.Accounts {
			if err := waitForUser(ctx, e, a.Username); err != nil {
				return Ready{}, fmt.Errorf("%s has not arrived on %s: %w", a.Username, e.Name, err)
			}
			if err := logIn(ctx, e, a); err != nil {
				return Ready{}, fmt.Errorf("log in on %s as %s: %w", e.Name, a.Username, err)
			}
		}
	}
	return r, s.exportFirst(ctx)
}

// exportFirst writes what is due. A link that somebody stopped stays so: they
// resume it where they stopped it.
func (s *Stack) exportFirst(ctx context.Context) error {
	for from, to := range map[*End]*End{s.Core: s.Field, s.Field: s.Core} {
		if _, err := from.Bridge.Export(ctx, to.Name, actor); err != nil && !errors.Is(err, bridge.ErrStopped) {
			return err
		}
	}
	return nil
}

// waitForUser waits until a user has crossed. It looks at the read model:
// failed logins would be throttled.
func waitForUser(ctx context.Context, e *End, username string) error {
	seq := int64(0)
	for {
		_, err := e.Reader.UserByName(ctx, username)
		if !errors.Is(err, projections.ErrNotFound) {
			return err
		}
		if seq, err = e.Log.Wait(ctx, seq); err != nil {
			return err
		}
	}
}

// logIn returns when an account can log in. A site that is too busy says that it
// will have room later: on a slow machine it starts so.
func logIn(ctx context.Context, e *End, a Account) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		status, err := logInOnce(ctx, e, a)
		if err != nil || status == http.StatusOK {
			return err
		}
		err = fmt.Errorf("status %d", status)
		if status != http.StatusServiceUnavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

func logInOnce(ctx context.Context, e *End, a Account) (status int, err error) {
	body, err := json.Marshal(map[string]string{"username": a.Username, "password": a.Password})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+"/auth/login", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
