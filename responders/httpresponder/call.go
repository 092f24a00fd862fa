package httpresponder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
	"sallyport/responders/template"
)

// call is what a request type asks, ready for parameters.
type call struct {
	of          *domain.ServiceCall
	path        *template.Path
	query, body *template.Template // nil: none
}

// compile reads a call's templates. Its error is for an administrator.
func compile(of *domain.ServiceCall) (*call, error) {
	if of == nil || of.Method != http.MethodGet && of.Method != http.MethodPost {
		return nil, fmt.Errorf("call: must be of the method GET or POST")
	}
	c := &call{of: of}
	var err error
	if c.path, err = template.ParsePath(of.Path); err != nil {
		return nil, fmt.Errorf("call.path: %w", err)
	}
	if of.Query != nil {
		if c.query, err = template.Parse(of.Query); err != nil {
			return nil, fmt.Errorf("call.query: %w", err)
		}
		if !c.query.Flat() {
			return nil, fmt.Errorf("call.query: must be an object of plain values and arrays of such, and of parameters that are not of the type any")
		}
	}
	if of.Body != nil {
		if c.body, err = template.Parse(of.Body); err != nil {
			return nil, fmt.Errorf("call.body: %w", err)
		}
	}
	return c, nil
}

// names returns the parameters that the call uses.
func (c *call) names() []string {
	all := c.path.Names()
	for _, t := range []*template.Template{c.query, c.body} {
		if t == nil {
			continue
		}
		for _, p := range t.Places() {
			all = append(all, p.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// request binds parameters. An error is a [*template.ValueError].
func (c *call) request(ctx context.Context, s *service, v template.Values) (*http.Request, error) {
	path, err := c.path.Bind(v)
	if err != nil {
		return nil, err
	}
	u, err := s.base.Parse(s.base.EscapedPath() + path)
	if err != nil {
		return nil, err
	}
	if u.RawQuery, err = c.boundQuery(v); err != nil {
		return nil, err
	}
	var body []byte
	if c.body != nil {
		if body, err = c.body.Bind(v); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, c.of.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.of.Headers {
		r.Header.Set(name, value)
	}
	for name, values := range s.headers {
		r.Header[name] = values
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sallyport")
	if c.body != nil {
		r.Header.Set("Content-Type", contentType)
	}
	return r, nil
}

// boundQuery returns the query, its names sorted; of an array each element
// stands under the same name.
func (c *call) boundQuery(v template.Values) (string, error) {
	if c.query == nil {
		return "", nil
	}
	bound, err := c.query.Bind(v)
	if err != nil {
		return "", err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(bound, &members); err != nil {
		return "", err
	}
	q := url.Values{}
	for name, value := range members {
		elements := []jsontext.Value{value}
		if value.Kind() == '[' {
			if err := json.Unmarshal(value, &elements); err != nil {
				return "", err
			}
		}
		for _, e := range elements {
			text, _ := template.PlainText(e) // a literal null is an empty value
			q.Add(name, text)
		}
	}
	return q.Encode(), nil
}
