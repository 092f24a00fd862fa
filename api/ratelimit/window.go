package ratelimit

import (
	"time"

	"sallyport/domain"
)

// Window is one of the four fixed windows, in UTC.
type Window int

// The windows, the shortest first.
const (
	Minute Window = iota
	Hour
	Day
	Month
)

// Windows lists all of them, the shortest first.
var Windows = [...]Window{Minute, Hour, Day, Month}

var windowNames = [...]string{"minute", "hour", "day", "month"}

func (w Window) String() string { return windowNames[w] }

// ParseWindow returns the window of a name.
func ParseWindow(name string) (Window, bool) {
	for _, w := range Windows {
		if windowNames[w] == name {
			return w, true
		}
	}
	return 0, false
}

// Start returns when the window that holds t began.
func (w Window) Start(t time.Time) time.Time {
	t = t.UTC()
	switch w {
	case Minute:
		return t.Truncate(time.Minute)
	case Hour:
		return t.Truncate(time.Hour)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
}

// End returns when the window that began at start is over.
func (w Window) End(start time.Time) time.Time {
	switch w {
	case Minute:
		return start.Add(time.Minute)
	case Hour:
		return start.Add(time.Hour)
	case Day:
		return start.AddDate(0, 0, 1)
	default:
		return start.AddDate(0, 1, 0)
	}
}

// Of returns the limit that l has for the window.
func (w Window) Of(l domain.Limits) int {
	return [...]int{l.Minute, l.Hour, l.Day, l.Month}[w]
}
