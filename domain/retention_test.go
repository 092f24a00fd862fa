package domain_test

import (
	"errors"
	"testing"
	"time"

	"sallyport/domain"
)

func TestRetentionGoesForwardOnly(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 3, 0, 0, 0, time.UTC)
	old := now.Add(-30 * 24 * time.Hour)
	before := domain.Retention{}.Apply(domain.RetentionApplied{Log: "hq", Through: 40})
	if before != domain.RetainedSoFar("hq", 40) {
		t.Errorf("got %+v", before)
	}
	for name, c := range map[string]struct {
		command domain.ApplyRetention
		want    []domain.Fact
		code    string
	}{
		"more":               {domain.ApplyRetention{Before: old, Now: now, Log: "hq", Through: 41}, []domain.Fact{domain.RetentionApplied{Before: domain.Timestamp(old), Log: "hq", Through: 41}}, ""},
		"nothing new":        {domain.ApplyRetention{Before: old, Now: now, Log: "hq", Through: 40}, nil, ""},
		"less":               {domain.ApplyRetention{Before: old, Now: now, Log: "hq", Through: 39}, nil, ""},
		"nothing at all":     {domain.ApplyRetention{Before: old, Now: now, Log: "moon"}, nil, ""},
		"another site's log": {domain.ApplyRetention{Before: old, Now: now, Log: "moon", Through: 1}, []domain.Fact{domain.RetentionApplied{Before: domain.Timestamp(old), Log: "moon", Through: 1}}, ""},
		"too short":          {domain.ApplyRetention{Before: now.Add(-time.Second), Now: now, Log: "hq", Through: 41}, nil, "retention-too-short"},
		"in the future":      {domain.ApplyRetention{Before: now.Add(time.Hour), Now: now, Log: "hq", Through: 41}, nil, "retention-too-short"},
	} {
		got, err := before.Decide(c.command)
		var refused *domain.Error
		if errors.As(err, &refused); (refused == nil) != (c.code == "") || refused != nil && refused.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) != len(c.want) || len(got) == 1 && got[0] != c.want[0] {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
