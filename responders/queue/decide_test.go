package queue

import (
	"encoding/json"
	"slices"
	"testing"

	"sallyport/domain"
	"sallyport/schema"
)

// TestAGrantBoundsTheQuestion: what a user's grant says of results and indices
// is what the responder hears.
func TestAGrantBoundsTheQuestion(t *testing.T) {
	t.Parallel()
	books := &domain.RequestTypeDefined{Name: "books", Version: 1, Parameters: json.RawMessage(`{"type":"object"}`), MaxResults: 100}
	asked := Case{Request: domain.RequestSubmitted{Type: "books", TypeVersion: 1, Params: json.RawMessage(`{}`)}, Active: true, Type: books, Asked: books,
		Config: &domain.ResponderConfigured{Kind: domain.ResponderManual},
		Rights: domain.Rights{Active: true, Profile: &domain.ProfileDefined{}, Access: map[string]domain.Access{
			"books": {MaxResults: 7, Indices: []string{"books-2024"}}}}}
	a, err := admit(asked, map[domain.ResponderKind]Responder{domain.ResponderManual: noResponder{}}, schema.NewParameterCache(1))
	if err != nil {
		t.Fatal(err)
	}
	if q := a.question; q.MaxResults != 7 || !slices.Equal(q.Indices, []string{"books-2024"}) {
		t.Errorf("asked for %d results of %q", q.MaxResults, q.Indices)
	}
}

type noResponder struct{ Responder }
