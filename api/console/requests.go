package console

import (
	"encoding/json"
	"maps"
	"net/url"

	"sallyport/domain"
)

// ofUsers is what users do on a request site.
func ofUsers() []page {
	return []page{
		{key: "ask", path: "ask", site: domain.RequestSite, area: areaAsk, show: showTypes},
		{key: "ask-type", path: "ask/{type}", site: domain.RequestSite, show: showAsk, acts: []act{{"ask/{type}", ask}}},
		{key: "requests", path: "requests", site: domain.RequestSite, area: areaAsk, show: showRequests},
		{key: "request", path: "requests/{id}", site: domain.RequestSite, show: showRequest,
			acts: []act{{"requests/{id}/cancel", cancelRequest}, {"requests/{id}/retry", retryRequest}}},
		{key: "answer", path: "requests/{id}/answer", site: domain.RequestSite, show: showAnswer},
		{key: "answer-json", path: "requests/{id}/answer.json", site: domain.RequestSite, file: true, show: downloadAnswer},
		{key: "answer-file", path: "requests/{id}/answer.file", site: domain.RequestSite, file: true, show: downloadFile},
		{key: "limits", path: "limits", site: domain.RequestSite, area: areaAsk, show: showLimits},
	}
}

// list is a page of a list of the API.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next_cursor"`
}

// request is one request of whoever is signed in.
type request struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Version  int             `json:"type_version"`
	Status   string          `json:"status"`
	Params   json.RawMessage `json:"params"`
	Priority int             `json:"priority"`
	Name     *string         `json:"name"`
	Created  string          `json:"created_at"`
	Expected struct {
		Out  *string `json:"out"`
		Back *string `json:"back"`
	} `json:"expected_crossing"`
}

// statuses are those that a request can have, in the order of its way.
var statuses = []string{"pending", "exported", "delivered", "processing", "answered", "failed", "cancelled"}

// requestList is a list with the filter that made it.
type requestList struct {
	list[request]
	Filter   url.Values
	Statuses []string
	Types    []requestType
	Filtered bool
	pagingLinks
}

// requestType is a type that somebody may use.
type requestType struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     int             `json:"version"`
	Parameters  json.RawMessage `json:"parameters"`
	MaxResults  int             `json:"max_results"`
}

func showRequests(v *visit) error {
	l := requestList{Statuses: statuses, Filter: url.Values{}}
	asked := v.r.URL.Query()
	for _, name := range []string{"status", "type", "name", "from", "to"} {
		if value := asked.Get(name); value != "" {
			l.Filter.Set(name, value)
			l.Filtered = true
		}
	}
	var types list[requestType]
	if err := v.get("/request-types?limit=100", &types); err != nil {
		return err
	}
	l.Types = types.Items
	call := v.apiFilter(l.Filter)
	call.Set("limit", "25")
	if cursor := asked.Get("cursor"); cursor != "" {
		call.Set("cursor", cursor)
	}
	if err := v.get("/requests?"+call.Encode(), &l.list); err != nil {
		return v.again(l, err)
	}
	l.pagingLinks = v.paging("requests", l.Filter, l.Next)
	return v.show(l)
}

// apiFilter makes moments of the days that a form of a list gives: the whole
// first and the whole last one, in UTC.
func (v *visit) apiFilter(of url.Values) url.Values {
	out := url.Values{}
	for name, values := range of {
		out[name] = values
	}
	for name, time := range map[string]string{"from": "T00:00:00Z", "to": "T23:59:59.999999Z"} {
		if day := of.Get(name); len(day) == len("2006-01-02") {
			out.Set(name, day+time)
		}
	}
	return out
}

// pagingLinks lead through a list, see the part "paging".
type pagingLinks struct {
	More  string // where it goes on; empty: it ends here
	First string // where it begins; empty: here
}

// paging makes the links of a list at a page with this filter.
func (v *visit) paging(path string, filter url.Values, next *string) pagingLinks {
	var l pagingLinks
	if v.r.URL.Query().Has("cursor") {
		l.First = pageURL(path, filter)
	}
	if next != nil {
		on := url.Values{"cursor": {*next}}
		maps.Copy(on, filter)
		l.More = pageURL(path, on)
	}
	return l
}

// pageURL is the address of a page of the console with a query.
func pageURL(path string, q url.Values) string {
	if len(q) == 0 {
		return Root + path
	}
	return Root + path + "?" + q.Encode()
}

func queryEscape(s string) string { return url.QueryEscape(s) }

func pathEscape(s string) string { return url.PathEscape(s) }

// limits is how somebody's limits stand, as GET /rate-limit tells it.
type limits struct {
	Profile string                    `json:"profile"`
	Status  string                    `json:"status"`
	Message string                    `json:"message"`
	Grace   *string                   `json:"grace_period_ends"`
	Counted string                    `json:"counted_in"`
	Windows map[string]use            `json:"windows"`
	Types   map[string]map[string]use `json:"types"`
}

// use is what was used of one window.
type use struct {
	Limit     *int64  `json:"limit"`
	Used      int64   `json:"used"`
	Remaining *int64  `json:"remaining"`
	Resets    string  `json:"resets_at"`
	Status    string  `json:"status"`
	Grace     *string `json:"grace_period_ends"`
}

// namedUse is a window with its name, in the order of their lengths.
type namedUse struct {
	Window string
	use
}

// InOrder lists windows from the shortest to the longest.
func (l limits) InOrder() []namedUse { return inOrder(l.Windows) }

// OfTypes lists the windows of the types that have limits of their own.
func (l limits) OfTypes() map[string][]namedUse {
	all := map[string][]namedUse{}
	for name, windows := range l.Types {
		all[name] = inOrder(windows)
	}
	return all
}

func inOrder(windows map[string]use) []namedUse {
	var all []namedUse
	for _, name := range []string{"minute", "hour", "day", "month"} {
		if u, ok := windows[name]; ok {
			all = append(all, namedUse{name, u})
		}
	}
	return all
}

func showLimits(v *visit) error {
	var l limits
	if err := v.get("/rate-limit", &l); err != nil {
		return err
	}
	return v.show(l)
}
