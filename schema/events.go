package schema

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"sallyport/domain"
)

//go:embed events/*.json
var eventFiles embed.FS

// Events holds the JSON Schemas of every event version that this program reads.
// Each is compiled when it is first needed: most commands need few of them. It
// is safe for concurrent use.
type Events struct {
	schemas map[version]func() (*jsonschema.Schema, error)
	known   []string
}

type version struct {
	eventType string
	number    int
}

func (v version) String() string { return v.eventType + ".v" + strconv.Itoa(v.number) }

// EventError says which part of an event's data breaks which rule of its
// schema. It never shows the data: a credential may be in it.
type EventError struct {
	Type    string
	Version int
	Pointer string // JSON Pointer (RFC 6901) into the data; empty: all of it
	Rule    string // the schema's keyword, such as `maxLength`, and what it misses or does not know
}

func (e *EventError) Error() string {
	return fmt.Sprintf("the data of %s, schema version %d, breaks its schema at %q: %s; nothing was stored", e.Type, e.Version, e.Pointer, e.Rule)
}

// LoadEvents gives the schemas that are built into the program, the same to all
// who ask. An error means that the program itself is damaged.
func LoadEvents() (*Events, error) { return builtIn() }

var builtIn = sync.OnceValues(func() (*Events, error) { return ReadEvents(eventFiles) })

// ReadEvents gives the schemas in the folder events of files: what is not there
// is unknown to the program.
func ReadEvents(files fs.FS) (*Events, error) {
	names, err := fs.Glob(files, "events/*.json")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no event schema is built into this program: build it anew")
	}
	e := &Events{schemas: make(map[version]func() (*jsonschema.Schema, error), len(names))}
	for _, name := range names {
		v, err := parseVersion(strings.TrimSuffix(path.Base(name), ".json"))
		if err != nil {
			return nil, fmt.Errorf("event schema %s: %w", name, err)
		}
		e.schemas[v] = sync.OnceValues(func() (*jsonschema.Schema, error) { return compile(files, name, v) })
		e.known = append(e.known, v.String())
	}
	slices.Sort(e.known)
	return e, nil
}

func compile(files fs.FS, name string, v version) (*jsonschema.Schema, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuseToLoad{})
	url := fmt.Sprintf("urn:sallyport:event:%s:v%d", v.eventType, v.number)
	if err := c.AddResource(url, doc); err != nil {
		return nil, err
	}
	return c.Compile(url)
}

// parseVersion reads `<type>.v<number>`.
func parseVersion(s string) (version, error) {
	i := strings.LastIndex(s, ".v")
	if i < 0 {
		return version{}, fmt.Errorf("%q is not <type>.v<number>", s)
	}
	n, err := strconv.Atoi(s[i+2:])
	if err != nil || n < 1 {
		return version{}, fmt.Errorf("%q is not <type>.v<number>", s)
	}
	return version{s[:i], n}, nil
}

// Known returns every version that this program reads as `<type>.v<number>`,
// sorted: what an acknowledgement lists as understood.
func (e *Events) Known() []string { return slices.Clone(e.known) }

// Validate checks an event's data against the JSON Schema of its type and
// version. It returns a [*domain.UnknownEventError] when there is none, which
// calls for an upgrade of this site, and an [*EventError] when the data breaks
// it. A member whose schema is `true`, such as the result of an answer, is
// scanned and never decoded, however large it is.
func (e *Events) Validate(eventType string, number int, data []byte) error {
	v := version{eventType, number}
	load, ok := e.schemas[v]
	if !ok {
		return &domain.UnknownEventError{Type: eventType, Schema: number}
	}
	s, err := load()
	if err != nil {
		return fmt.Errorf("this program is damaged: event schema %s: %w; nothing was stored", v, err)
	}
	value, err := decodeData(data, func(member string) bool {
		m := s.Properties[member]
		return m != nil && m.Bool != nil && *m.Bool
	})
	if err != nil {
		return &EventError{Type: eventType, Version: number, Rule: "is no JSON object: " + err.Error()}
	}
	var broken *jsonschema.ValidationError
	err = s.Validate(value)
	if errors.As(err, &broken) {
		pointer, rule := describe(broken)
		return &EventError{Type: eventType, Version: number, Pointer: pointer, Rule: rule}
	}
	return err
}

// describe names the first broken rule, in the order of the pointers, so that
// equal data gives an equal message.
func describe(e *jsonschema.ValidationError) (pointer, rule string) {
	if len(e.Causes) == 0 {
		return pointerTo(e.InstanceLocation), ruleOf(e.ErrorKind)
	}
	pointer, rule = describe(e.Causes[0])
	for _, c := range e.Causes[1:] {
		if p, r := describe(c); p < pointer || p == pointer && r < rule {
			pointer, rule = p, r
		}
	}
	return pointer, rule
}

func pointerTo(location []string) string {
	var b strings.Builder
	for _, token := range location {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	return b.String()
}

func ruleOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Required:
		return "required: " + strings.Join(slices.Sorted(slices.Values(k.Missing)), ", ")
	case *kind.AdditionalProperties:
		return fmt.Sprintf("additionalProperties: %.200q", slices.Sorted(slices.Values(k.Properties)))
	default:
		return strings.Join(k.KeywordPath(), "/")
	}
}
