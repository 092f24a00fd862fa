package responsecache_test

import (
	"context"
	"fmt"

	"sallyport/projections/responsecache"
)

func Example() {
	ctx := context.Background()
	cache := responsecache.NewMemory(responsecache.MemoryConfig{})
	for _, e := range []responsecache.Entry{
		{Owner: "user-1", Position: 12, Body: []byte(`{"status":"answered"}`)},
		{Owner: "user-1", Position: 9, Body: []byte(`{"status":"failed"}`)}, // late, and older
	} {
		if err := cache.Set(ctx, "request-1", e); err != nil {
			fmt.Println(err)
		}
	}
	e, hit, err := cache.Get(ctx, "request-1")
	fmt.Println(e.Owner, e.Position, string(e.Body), hit, err)
	// Output: user-1 12 {"status":"answered"} true <nil>
}
