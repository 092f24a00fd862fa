package resultcache

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/redisdev/redistest"
)

// The client sends a step again whose answer it did not get: who asks still
// does, and nobody waits for themselves.
func TestToBeginTwiceIsToBegin(t *testing.T) {
	t.Parallel()
	stores := map[string]store{"memory": NewMemory()}
	if url, ok := redistest.URL(t); ok {
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(o)
		t.Cleanup(func() { client.Close() })
		stores["redis"] = NewRedis(client, func(err error) { t.Error(err) })
	}
	for name, s := range stores {
		for _, c := range []struct {
			token string
			mine  bool
		}{{"one", true}, {"one", name == "redis"}, {"other", false}} { // in memory nothing is lost on the way
			if _, mine, err := s.begin(t.Context(), "key", c.token); err != nil || mine != c.mine {
				t.Errorf("%s: %s asks %t, want %t (%v)", name, c.token, mine, c.mine, err)
			}
		}
	}
}
