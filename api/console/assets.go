package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
)

// Assets are what pages load: style sheets and scripts. htmx and uPlot are as
// their makers packed them, see NOTICE.
//
//go:embed assets
var assetFiles embed.FS

// assets are the files by the names that pages call them by. Such a name has
// the file's hash, so that a browser keeps it for good.
type assets struct {
	files map[string]assetFile // by the name in the address
	urls  map[string]string    // by the name in the folder
}

type assetFile struct {
	body  []byte
	media string
}

func loadAssets() (*assets, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("the assets: %w", err)
	}
	a := &assets{files: map[string]assetFile{}, urls: map[string]string{}}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("the assets: %w", err)
		}
		sum, ext := sha256.Sum256(body), path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.files[name] = assetFile{body: body, media: mime.TypeByExtension(ext)}
		a.urls[e.Name()] = Root + "assets/" + name
	}
	return a, nil
}

// url is where a file of the folder is; a name that is none fails the tests.
func (a *assets) url(name string) (string, error) {
	u, ok := a.urls[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return u, nil
}

func (k *Console) asset(w http.ResponseWriter, r *http.Request) {
	f, ok := k.assets.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	if _, err := w.Write(f.body); err != nil {
		return // the browser went away
	}
}
