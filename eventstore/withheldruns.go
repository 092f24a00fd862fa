package eventstore

import "context"

// withheldRuns reads an origin's runs one after the other.
type withheldRuns struct {
	store  *Store
	origin string
	page   []Withheld
	after  int64
	done   bool
}

func (r *withheldRuns) next(ctx context.Context) (*Withheld, error) {
	if len(r.page) == 0 && !r.done {
		var err error
		if r.page, err = r.store.ReadWithheld(ctx, r.origin, r.after, MaxPage); err != nil {
			return nil, err
		}
		r.done = len(r.page) == 0
	}
	if r.done {
		return nil, nil
	}
	w := r.page[0]
	r.page, r.after = r.page[1:], w.Through
	return &w, nil
}
