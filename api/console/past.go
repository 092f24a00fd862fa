package console

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// state is what a stream amounted to at a moment.
type state struct {
	Stream   string          `json:"stream"`
	Position int64           `json:"position"`
	Seq      int64           `json:"seq"`
	Ver      int64           `json:"ver"`
	Origin   string          `json:"origin"`
	At       string          `json:"at"`
	State    json.RawMessage `json:"state"`
}

// past is a stream as of a moment, and what is otherwise now.
type past struct {
	Asked       url.Values
	Then, Now   *state
	First, Last int64 // the stream's own ends in the log
	Changes     []change
}

// change is one place that is otherwise now; nil: it is not there.
type change struct {
	Place     string
	Then, Now *string
}

func showPast(v *visit) error {
	asked := v.r.URL.Query()
	p := past{Asked: asked}
	stream := strings.TrimSpace(asked.Get("stream"))
	if stream == "" {
		return v.show(p)
	}
	path := "/audit/state/" + url.PathEscape(stream)
	if err := v.get(path, &p.Now); err != nil {
		return v.again(p, err)
	}
	first, err := v.events(url.Values{"stream": {stream}, "limit": {"1"}})
	if err != nil {
		return err
	}
	if p.Last = p.Now.Seq; len(first) > 0 {
		p.First = first[0].Seq
	}
	q := url.Values{}
	for _, name := range []string{"at", "position"} { // a time, if one is given, else the position
		if value := asked.Get(name); value != "" && len(q) == 0 {
			q.Set(name, momentOf(value))
		}
	}
	if len(q) == 0 {
		p.Then = p.Now
		return v.show(p)
	}
	if err := v.get(path+"?"+q.Encode(), &p.Then); err != nil {
		return v.again(p, err)
	}
	p.Changes, err = changesBetween(p.Then.State, p.Now.State)
	if err != nil {
		return err
	}
	return v.show(p)
}

// changesBetween names what differs, by JSON Pointer.
func changesBetween(then, now json.RawMessage) ([]change, error) {
	a, err := places(then)
	if err != nil {
		return nil, err
	}
	b, err := places(now)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	var found []change
	for _, place := range slices.Sorted(maps.Keys(all)) {
		x, before := a[place]
		y, after := b[place]
		if before == after && x == y {
			continue
		}
		c := change{Place: place}
		if before {
			c.Then = &x
		}
		if after {
			c.Now = &y
		}
		found = append(found, c)
	}
	return found, nil
}

// places are the scalars of a value by their pointers.
func places(of json.RawMessage) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(of))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	all := map[string]string{}
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch x := value.(type) {
		case map[string]any:
			for name, inner := range x {
				walk(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), inner)
			}
		case []any:
			for i, inner := range x {
				walk(at+"/"+strconv.Itoa(i), inner)
			}
		default:
			text, _ := json.Marshal(x) // it was just read
			all[at] = string(text)
		}
	}
	walk("", value)
	return all, nil
}
