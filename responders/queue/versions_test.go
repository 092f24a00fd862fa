package queue_test

import (
	"encoding/json"
	"testing"

	"sallyport/domain"
	"sallyport/responders/queue"
)

// TestATypeChangesWhileItsRequestsAreUnderWay: parameters are what the version
// asked for, whatever the type asks for by now.
func TestATypeChangesWhileItsRequestsAreUnderWay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	before := s.imports(q, request(1))[0]
	stricter := domain.RequestTypeChanged{Name: "item", Version: 2, MaxResults: 10,
		Parameters: json.RawMessage(`{"type":"object","required":["id","area"],"properties":{"id":{},"area":{"type":"string"}}}`)}
	s.append(domain.RequestTypeStream("item"), stricter)
	lacking, fitting, unknown := request(2), request(3), request(4)
	lacking.TypeVersion, fitting.TypeVersion, unknown.TypeVersion = 2, 2, 7
	fitting.Params = json.RawMessage(`{"id":3,"area":"x"}`)
	after := s.imports(q, lacking, fitting, unknown)
	s.append(domain.RequestTypeStream("item"), domain.RequestTypeRetired{}) // what was asked before is answered
	s.start(nil)
	is(t, s.answer(before), "response.started", "response.recorded")
	is(t, s.answer(after[1]), "response.started", "response.recorded")
	for id, code := range map[string]string{after[0]: queue.CodeInvalidParams, after[2]: queue.CodeUnknownType} {
		got := s.answer(id)
		if is(t, got, "response.failed"); got[0].Fact.(domain.ResponseFailed).Code != code {
			t.Errorf("%+v, want %s", got[0].Fact, code)
		}
	}
}
