package dev

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// A site that is too busy for a login is asked again; one that refuses is not.
func TestLoginWaitsForRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answers []int
		fails   bool
	}{{[]int{503, 200}, false}, {[]int{401, 200}, true}} {
		left := slices.Clone(c.answers)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(left[0])
			left = left[1:]
		}))
		if err := logIn(t.Context(), &End{URL: s.URL}, Account{}); (err != nil) != c.fails {
			t.Errorf("answered with %v: %v", c.answers, err)
		}
		s.Close()
	}
}
