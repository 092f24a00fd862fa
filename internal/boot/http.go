package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"sallyport/api"
	"sallyport/api/console"
	"sallyport/api/keyuse"
	"sallyport/api/live"
	"sallyport/api/refusals"
	"sallyport/api/throttle"
	"sallyport/api/token"
	"sallyport/bridge"
	"sallyport/eventstore"
	"sallyport/internal/commands"
	"sallyport/internal/disk"
	"sallyport/internal/tlsfiles"
)

// served is the API of a site on its way out.
type served struct {
	api      *api.API
	console  *console.Console
	server   *http.Server
	listener net.Listener
	notice   time.Duration
	crossing *crossings
	refused  *refusals.Recorder
	uses     *keyuse.Uses
}

// listen makes the API ready to be served on ln.
func (s *Site) listen(ln net.Listener) (*served, error) {
	v := &served{listener: ln, notice: cmp.Or(s.Config.DrainNotice, defaultDrainNotice), crossing: &crossings{site: s},
		refused: refusals.New(refusals.Config{Record: s.Commands.LoginsRefused, Logger: s.Logger}), uses: keyuse.New(s.Pool, s.Logger)}
	pair, err := s.certificate()
	if err != nil {
		return nil, err
	}
	config, err := s.apiConfig(v)
	if err != nil {
		return nil, err
	}
	if config.Metrics, err = s.measured(pair); err != nil {
		return nil, err
	}
	if v.api, err = api.New(config); err != nil {
		return nil, err
	}
	if v.console, err = s.pages(v.api); err != nil {
		return nil, err
	}
	v.server = api.Server(v.console.Beside(v.api), s.Logger)
	if pair != nil {
		v.server.TLSConfig = pair.Config()
	}
	return v, nil
}

// certificate is what the site shows to who calls it by TLS; nil: it speaks
// plain HTTP.
func (s *Site) certificate() (*tlsfiles.Pair, error) {
	if s.Config.TLS.CertFile == "" {
		return nil, nil //nolint:nilnil // as promised
	}
	return tlsfiles.Open(s.Config.TLS.CertFile, s.Config.TLS.KeyFile, s.Logger)
}

func (s *Site) apiConfig(v *served) (api.Config, error) {
	if _, err := bridge.EnsureSigningKey(s.tokenKeyPath()); err != nil {
		return api.Config{}, err
	}
	keys, err := token.ReadKeyFile(s.tokenKeyPath())
	if err != nil {
		return api.Config{}, err
	}
	signing, older := keys.At(time.Now())
	trusted, err := networks("trusted_proxies", s.Config.TrustedProxies)
	if err != nil {
		return api.Config{}, err
	}
	c := api.Config{Log: s.Log, Pool: s.Pool, Reader: s.Reader, Directory: s.Directory, Commands: s.Commands, Tryout: s.Tryout, Bridge: s.Bridge, Queue: s.Queue, Desk: s.Desk, Webhooks: s.Webhooks,
		Passwords: s.Passwords, Refusals: v.refused, SessionEnds: &s.ends, KeyUses: v.uses, Throttle: s.throttle(), Cache: s.Cache, RateLimits: s.limits, TokenKey: signing, OlderTokenKeys: older, Logger: s.Logger,
		AllowedOrigins: s.Config.CORS.Origins, TrustedProxies: trusted,
		Version: s.Version, Disk: s.room}
	if s.redis != nil {
		c.CacheReady = s.CacheReady
	}
	if !s.isResponse() {
		c.Crossing = v.crossing.now
	}
	return c, nil
}

// pages are the site's console. Sessions are sealed by a key of its own, which
// all processes of the site share.
func (s *Site) pages(of *api.API) (*console.Console, error) {
	secret, err := bridge.EnsureSigningKey(filepath.Join(s.Config.keysDir(), "console.pem"))
	if err != nil {
		return nil, err
	}
	return console.New(console.Config{API: of, Site: s.Config.Site, Role: s.Config.Role, Secret: secret.Seed(),
		Changes: live.New(s.Log, s.Pool), ReadOnly: s.readOnly, Version: s.Version, Logger: s.Logger})
}

// readOnly tells why nothing can be stored; empty: it can, or nobody knows.
func (s *Site) readOnly(ctx context.Context) string {
	var refused *eventstore.ReadOnlyError
	if errors.As(s.Log.Writable(ctx), &refused) {
		return refused.Reason
	}
	return ""
}

func (s *Site) room() (api.Room, error) {
	space, err := disk.Of(s.Config.Data)
	return api.Room{Free: space.Free, Total: space.Total, Low: disk.Low, Full: disk.Full}, err
}

// serve serves until ctx ends. Then the site says that it is not ready, so that
// a balancer sends its calls elsewhere; after the notice no more are taken, and
// those under way finish.
func (v *served) serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- v.run() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	v.api.Drain()
	v.console.Drain()
	v.server.SetKeepAlivesEnabled(false)
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-time.After(v.notice):
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := v.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("end the HTTP server: %w", err), v.server.Close())
	}
	return nil
}

func (v *served) run() error {
	if v.server.TLSConfig != nil {
		return v.server.ServeTLS(v.listener, "", "")
	}
	return v.server.Serve(v.listener)
}

// throttle counts failed tries where all processes of the site see them.
func (s *Site) throttle() *throttle.Throttle {
	return throttle.New(throttle.Config{Redis: s.counting, Alone: s.alone.Inc, Failed: func(err error) {
		s.Logger.Warn("failed logins could not be counted in Redis; this process allows a tenth of them meanwhile", "error", err)
	}})
}

// RotateTokenKey gives the site another key for access tokens, which running
// processes take up by themselves. See [token.Rotate].
func (s *Site) RotateTokenKey(ctx context.Context, by commands.By, stolen bool) (token.Rotated, error) {
	action := "keys.rotate-tokens"
	if stolen {
		action = "keys.replace-stolen-tokens"
	}
	if _, err := s.Commands.Acted(ctx, by, action, "", commands.Client{}); err != nil {
		return token.Rotated{}, err
	}
	return token.Rotate(s.tokenKeyPath(), time.Now(), stolen)
}
