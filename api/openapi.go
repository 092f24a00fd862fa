package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // for the description
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

// spec describes the whole API. Tests prove that it and the routes are equal.
//
//go:embed openapi.yaml
var spec []byte

// document is something that never changes while the process runs.
type document struct {
	body []byte
	tag  string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body: body, tag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// description is the API's own, as JSON: equal for all sites that a process serves, and made when it is first asked for, because
// it takes longer than all else at the start.
var description = sync.OnceValues(func() (document, error) {
	text, err := yamlToJSON(spec)
	if err != nil {
		return document{}, fmt.Errorf("the description of the API: %w", err)
	}
	return newDocument(text), nil
})

// openAPI gives the description of the API as JSON.
func (s *server) openAPI(_ context.Context, c *call) (answer, error) {
	described, err := description()
	if err != nil {
		return answer{}, err
	}
	a := answer{raw: described.body, etag: described.tag}
	if known(c.Header["If-None-Match"], a.etag) {
		a.status, a.raw = http.StatusNotModified, nil
	}
	return a, nil
}

// yamlToJSON keeps the order of names, which is the order in which people read
// the page. Of YAML it takes what JSON has.
func yamlToJSON(text []byte) ([]byte, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		return nil, err
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		return nil, errors.New("the text is not one document")
	}
	var b bytes.Buffer
	err := writeJSON(&b, n.Content[0])
	return b.Bytes(), err
}

func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeParts(b, '{', '}', n.Content, 2)
	case yaml.SequenceNode:
		return writeParts(b, '[', ']', n.Content, 1)
	case yaml.ScalarNode:
		return writeScalar(b, n)
	}
	return fmt.Errorf("line %d: JSON has no aliases", n.Line)
}

// writeParts writes the parts of a list, or those of an object, which are names
// and values by turns.
func writeParts(b *bytes.Buffer, begin, end byte, parts []*yaml.Node, each int) error {
	b.WriteByte(begin)
	names := map[string]bool{}
	for i, part := range parts {
		if i > 0 {
			b.WriteByte([]byte{',', ':'}[i%each])
		}
		if each == 2 && i%each == 0 {
			if names[part.Value] {
				return fmt.Errorf("line %d: the name %s stands twice in one object", part.Line, part.Value)
			}
			names[part.Value] = true
			part = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part.Value}
		}
		if err := writeJSON(b, part); err != nil {
			return err
		}
	}
	b.WriteByte(end)
	return nil
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) error {
	var v any = n.Value
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		if err := n.Decode(&v); err != nil {
			return err
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	b.Write(text)
	return nil
}
