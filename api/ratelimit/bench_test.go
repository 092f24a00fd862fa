package ratelimit_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/internal/redisdev/redistest"
)

// BenchmarkTake is what a limit costs a submission, 64 at once.
func BenchmarkTake(b *testing.B) {
	limits := domain.Limits{Minute: 1e9, Hour: 1e9, Day: 1e9, Month: 1e9}
	run := func(l *ratelimit.Limiter) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if !l.Take(b.Context(), ratelimit.Ask{User: "u1", At: time.Now(), N: 1, Limits: limits}).Allowed {
						b.Fatal("refused")
					}
				}
			})
		}
	}
	b.Run("memory", run(ratelimit.New(ratelimit.Config{})))
	url, ok := redistest.URL(b)
	if !ok {
		b.Skip("there is no redis-server on this machine")
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	client := ratelimit.Connect(*options)
	defer client.Close()
	b.Run("redis", run(ratelimit.New(ratelimit.Config{Redis: ratelimit.NewRedis(client)})))
}
