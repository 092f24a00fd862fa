package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/boot"
)

// keptResponders returns what a person wrote under `responders` into a site's
// configuration since an earlier start: all else in that file is written anew.
func (e *End) keptResponders() (boot.Responders, error) {
	text, err := os.ReadFile(e.ConfigPath())
	if errors.Is(err, fs.ErrNotExist) {
		return boot.Responders{}, nil
	}
	if err != nil {
		return boot.Responders{}, fmt.Errorf("read what %s may ask: %w", e.Name, err)
	}
	var kept struct {
		Responders boot.Responders `yaml:"responders"`
	}
	if err := yaml.Unmarshal(text, &kept); err != nil {
		return boot.Responders{}, fmt.Errorf("%s: %w; mend it, or remove it to begin with a new one", e.ConfigPath(), err)
	}
	return kept.Responders, nil
}

// with adds a database to what may be asked.
func with(r boot.Responders, name string, s boot.Source) boot.Responders {
	sources := maps.Clone(r.Sources)
	if sources == nil {
		sources = map[string]boot.Source{}
	}
	sources[name] = s
	r.Sources = sources
	return r
}
