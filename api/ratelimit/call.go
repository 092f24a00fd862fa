package ratelimit

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// call is what the script, or memory, is asked for.
type call struct {
	Ask
	give    bool // back what was taken
	buckets []bucket
}

func (a Ask) call(give bool) call { return call{Ask: a, give: give, buckets: a.buckets()} }

// take decides about a call, given the counters of its buckets, and changes
// them as Redis is to do: it is what the script there says, in Go.
func (c *call) take(counters []Counter) (allowed bool) {
	allowed = true
	now := c.At.UnixMilli()
	for i, b := range c.buckets {
		allowed = allowed && counters[i].fits(b.limit, b.n, now)
	}
	for i, b := range c.buckets {
		counter := &counters[i]
		switch {
		case !allowed:
			counter.Refused = !counter.fits(b.limit, 1, now)
		default:
			counter.Count += int64(b.n)
			counter.Refused = false
			if b.limit > 0 && counter.Count > int64(b.limit) && counter.Excess == 0 {
				counter.Excess = now
			}
		}
	}
	return allowed
}

// giveBack is take for what was taken.
func (c *call) giveBack(counters []Counter) {
	for i, b := range c.buckets {
		start := b.window.Start(c.At).UnixMilli()
		if counters[i].Start == start {
			counters[i].Count = max(0, counters[i].Count-int64(b.n))
		}
		// What was refused for want of what is given back is refused no more.
		counters[i] = counters[i].from(start, b, c.At.UnixMilli())
	}
}

// alike reports whether two calls take the same of the same windows: those of
// one minute have all windows in common.
func (c *call) alike(other *call) bool {
	return c.User == other.User && !c.give && !other.give &&
		Minute.Start(c.At).Equal(Minute.Start(other.At)) && slices.Equal(c.buckets, other.buckets)
}

// args is what the script is given for so many calls alike.
func (c *call) args(times int) []any {
	month := Month.End(Month.Start(c.At)).Sub(c.At) + grace
	numbers := appendDoubles(make([]byte, 0, 8*(4+3*len(c.buckets))), c.At.UnixMilli(), month.Milliseconds(), grace.Milliseconds(), number(c.give))
	args := make([]any, 1, 1+len(c.buckets))
	for _, b := range c.buckets {
		numbers = appendDoubles(numbers, b.window.Start(c.At).UnixMilli(), int64(b.limit), int64(b.n)*int64(times))
		args = append(args, b.field)
	}
	args[0] = numbers
	return args
}

// answer reads what the script said.
func (c *call) answer(got string) (allowed bool, counters []Counter, err error) {
	if len(got) != 1+valueSize*len(c.buckets) {
		return false, nil, errors.New("redis gave another answer than the script")
	}
	counters = make([]Counter, len(c.buckets))
	for i := range counters {
		counters[i] = parse(got[1+valueSize*i:][:valueSize])
	}
	return got[0] == '1', counters, nil
}

// before returns the counters as they were before the last times calls alike
// were taken.
func (c *call) before(counters []Counter, times int) []Counter {
	if times == 0 {
		return counters
	}
	counters = slices.Clone(counters)
	for i, b := range c.buckets {
		counters[i].Count -= int64(b.n) * int64(times)
		if counters[i].Count <= int64(b.limit) {
			counters[i].Excess = 0
		}
	}
	return counters
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// valueSize is that of a counter in Redis.
const valueSize = 32

// appendDoubles writes numbers as Lua's struct.unpack reads them. All of them
// are far below 2⁵³.
func appendDoubles(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(n)))
	}
	return b
}

// parse reads a field's value; what is not one counts nothing.
func parse(value string) Counter {
	if len(value) != valueSize {
		return Counter{}
	}
	at := func(i int) int64 { return int64(math.Float64frombits(binary.LittleEndian.Uint64([]byte(value[8*i:])))) }
	return Counter{Start: at(0), Count: at(1), Excess: at(2), Refused: at(3) == 1}
}
