package domain

import (
	"errors"
	"time"
)

// TimeLayout is how times are written, in lines and in the API alike: UTC,
// microseconds, always 27 characters, so that they sort as text.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// Timestamp is a time that JSON shows in [TimeLayout].
type Timestamp time.Time

// MarshalText implements [encoding.TextMarshaler].
func (t Timestamp) MarshalText() ([]byte, error) {
	text := make([]byte, 0, len(TimeLayout)+len("000")) // nanoseconds are written before they are cut
	return time.Time(t).UTC().AppendFormat(text, TimeLayout), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]: any time of RFC 3339.
func (t *Timestamp) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return errors.New("must be a time such as 2026-01-31T12:00:00Z")
	}
	*t = Timestamp(at.UTC().Truncate(time.Microsecond))
	return nil
}
