package console

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are a language's pages by their keys. Each is made when it is first
// shown: most processes show few of them, or none, and all of them would take
// longer than the rest of a start.
type templates map[string]func() (*template.Template, error)

// loadTemplates finds the pages.
func loadTemplates(l *language, a *assets) (templates, error) {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("the templates: %w", err)
	}
	shared := sync.OnceValues(func() (*template.Template, error) {
		return template.New("layout").Funcs(l.functions(a)).ParseFS(templateFiles, "templates/layout.html", "templates/parts*.html")
	})
	all := templates{}
	for _, file := range names {
		key := strings.TrimSuffix(path.Base(file), ".html")
		if key == "layout" || strings.HasPrefix(key, "parts") {
			continue
		}
		all[key] = sync.OnceValues(func() (*template.Template, error) {
			layout, err := shared()
			if err != nil {
				return nil, err
			}
			own, err := layout.Clone()
			if err != nil {
				return nil, err
			}
			return own.ParseFS(templateFiles, file)
		})
	}
	return all, nil
}

// page returns the template of a page.
func (t templates) page(key string) (*template.Template, error) {
	made, ok := t[key]
	if !ok {
		return nil, fmt.Errorf("there is no template %s.html", key)
	}
	own, err := made()
	if err != nil {
		return nil, fmt.Errorf("the template %s.html: %w", key, err)
	}
	return own, nil
}
