package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"sallyport/api/live"
	"sallyport/domain"
)

// Config is what the console works on. Fields are required unless they say
// otherwise.
type Config struct {
	API  http.Handler // of this site; each page is made of its answers
	Site string       // its name
	Role domain.Role  // its role
	// Secret is what the key that seals sessions is derived from. Whoever has
	// another one sees no session.
	Secret []byte
	// Changes tells when a page is to be looked at again; nil: pages stay as they are.
	Changes *live.Feed
	// ReadOnly tells why nothing can be stored; empty: it can. Nil: it always can.
	ReadOnly func(context.Context) string
	Version  string // the program's; may be empty
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Console is a site's web pages.
type Console struct {
	Config
	handler   http.Handler
	sealer    *sealer
	renewals  *renewals
	assets    *assets
	languages map[string]*language
	templates map[string]templates // by language
	streams   streams
	draining  chan struct{}
	drain     sync.Once
}

// Root is where the console begins.
const Root = "/console/"

// New returns a site's console, ready to answer.
func New(c Config) (*Console, error) {
	if c.API == nil || c.Site == "" || c.Role == "" || len(c.Secret) == 0 || c.Logger == nil {
		return nil, errors.New("the console lacks a part of its configuration")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ReadOnly == nil {
		c.ReadOnly = func(context.Context) string { return "" }
	}
	k := &Console{Config: c, renewals: newRenewals(), draining: make(chan struct{})}
	var err error
	if k.sealer, err = newSealer(c.Secret, c.Site); err != nil {
		return nil, err
	}
	if k.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if k.languages, err = loadLanguages(); err != nil {
		return nil, err
	}
	k.templates = map[string]templates{}
	for name, l := range k.languages {
		if k.templates[name], err = loadTemplates(l, k.assets); err != nil {
			return nil, err
		}
	}
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.SuffixETag("-gzip"), gzhttp.SetContentType(false),
		gzhttp.ContentTypes([]string{"text/html", "text/css", "text/javascript", "application/json"}))
	if err != nil {
		return nil, fmt.Errorf("prepare the compression of pages: %w", err)
	}
	k.handler = secured(http.NewCrossOriginProtection().Handler(compress(k.router())))
	return k, nil
}

// Drain ends what only waits, so that the process can end. It may be called
// twice.
func (k *Console) Drain() { k.drain.Do(func() { close(k.draining) }) }

// ServeHTTP answers what lies below [Root].
func (k *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { k.handler.ServeHTTP(w, r) }

// Beside serves the console beside an API: the console has the paths below
// [Root]; a browser that comes to the site's front door is shown the way.
func (k *Console) Beside(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, Root):
			k.ServeHTTP(w, r)
		case r.URL.Path+"/" == Root, r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			w.Header().Set("Vary", "Accept")
			http.Redirect(w, r, Root, http.StatusSeeOther)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// router knows every path of the console.
func (k *Console) router() http.Handler {
	mux := http.NewServeMux()
	for _, p := range pages() {
		mux.Handle("GET "+p.pattern(), k.visited(p, p.show))
		for _, a := range p.acts {
			mux.Handle("POST "+a.pattern(), k.visited(p, a.do))
		}
	}
	mux.HandleFunc("GET "+Root+"assets/{file}", k.asset)
	mux.HandleFunc("GET "+Root+"live", k.live)
	mux.Handle(Root, k.visited(missing, missing.show))
	return mux
}
