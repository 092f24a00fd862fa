package console

import "testing"

// Evidence is offered of what is a request's, and of nothing else.
func TestEventsOfRequests(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]string{"request-7": "7", "response-7": "7", "username-wide": ""} {
		if got := (stored{Stream: stream}).Request(); got != want {
			t.Errorf("%s is of the request %q, want %q", stream, got, want)
		}
	}
}
