package console

import "net/url"

// browse is a list of the API that somebody goes through, with the filter that
// made it.
type browse[T any] struct {
	list[T]
	pagingLinks
	Filter   url.Values
	Filtered bool
}

// through reads a page of a list of the API: as many rows as rows says, by the
// filters of the page's own query that are named.
func (b *browse[T]) through(v *visit, api, rows string, names ...string) error {
	asked := v.r.URL.Query()
	b.Filter = url.Values{}
	for _, name := range names {
		if value := asked.Get(name); value != "" {
			b.Filter.Set(name, value)
			b.Filtered = true
		}
	}
	call := v.apiFilter(b.Filter)
	call.Set("limit", rows)
	if cursor := asked.Get("cursor"); cursor != "" {
		call.Set("cursor", cursor)
	}
	err := v.get(api+"?"+call.Encode(), &b.list)
	b.pagingLinks = v.paging(v.r.URL.Path[len(Root):], b.Filter, b.Next)
	return err
}
