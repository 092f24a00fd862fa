package eventstoretest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
)

// appendUntil is the first argument of a process that is to be killed. The way
// in which it appends and its database follow.
const appendUntil = "append-until-killed"

// Ways to append: one after the other, which takes one trip to the database
// each, and many at once, which share two.
const (
	oneTrip  = "one trip"
	twoTrips = "two trips"
)

const (
	rounds  = 4
	atOnce  = 8
	readies = 3 // appends before it is ready: then the writer knows that it is alone
)

// Appender ends the process after it appended, if it was started by [Run] to be
// killed meanwhile; else it returns at once. It tells on its output what it
// tries and what was acknowledged:
//
//	try ID
//	ok ID POSITION
//	ready          it goes on when a line comes
func Appender() {
	if len(os.Args) != 4 || os.Args[1] != appendUntil {
		return
	}
	if err := appendUntilKilled(context.Background(), os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func appendUntilKilled(ctx context.Context, way, url string) error {
	pool, err := eventstore.Pool(ctx, url, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := eventstore.Open(ctx, pool, eventstore.Config{CheckLine: anyJSON})
	if err != nil {
		return err
	}
	defer store.Close()
	if way == until {
		return appendUntilClosed(ctx, store)
	}
	n := 1
	if way == twoTrips {
		n = atOnce
	}
	for range readies {
		if err := appendAtOnce(ctx, store, way, n); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for range rounds {
		if err := appendAtOnce(ctx, store, way, n); err != nil {
			return err
		}
	}
	return nil
}

// appendAtOnce makes n appends at the same time, as so many callers would.
func appendAtOnce(ctx context.Context, s *eventstore.Store, way string, n int) error {
	failures := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			a := named(way, uuid.NewString())
			fmt.Println("try", a.ID)
			records, err := s.Append(ctx, a)
			if err != nil {
				failures[i] = err
				return
			}
			fmt.Println("ok", a.ID, records[0].Pos)
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// named is the append of an id. Of a stream at any version nothing is foreseen:
// its append takes two trips.
func named(way, id string) eventstore.Append {
	expected := eventstore.NoStream
	if way == twoTrips {
		expected = eventstore.Any
	}
	return eventstore.Append{ID: id, Actor: "user-1", Writes: []eventstore.Write{
		{Stream: domain.UsernameStream(id), Expected: expected, Facts: []domain.Fact{domain.UsernameClaimed{User: id}}}}}
}
