package domain_test

import (
	"errors"
	"strings"
	"testing"

	"sallyport/domain"
)

func TestPeopleOverruleTheQueue(t *testing.T) {
	t.Parallel()
	started, failed := domain.ResponseStarted{Attempt: 1}, domain.ResponseFailed{Code: "timeout", Attempts: 1}
	answered, cancelled := domain.ResponseRecorded{}, domain.RequestCancelled{}
	ended := domain.ResponseFailed{Code: "cancelled_by_admin", Error: "the people of the response site ended this request: no more", Attempts: 1}
	for name, c := range map[string]struct {
		so           []domain.Fact
		retry, ended string // the refusal's code; empty: allowed
	}{
		"new":                    {nil, "not-failed", ""},
		"begun":                  {[]domain.Fact{started}, "not-failed", ""},
		"failed":                 {[]domain.Fact{started, failed}, "", "already-failed"},
		"failed, taken back":     {[]domain.Fact{started, failed, domain.ResponseRetried{}}, "not-failed", ""},
		"answered":               {[]domain.Fact{started, answered}, "already-answered", "already-answered"},
		"withdrawn":              {[]domain.Fact{domain.ResponseWithdrawn{}}, "already-answered", "already-answered"},
		"ended by people":        {[]domain.Fact{started, ended}, "", "already-failed"},
		"cancelled":              {[]domain.Fact{started, cancelled}, "already-cancelled", "already-cancelled"},
		"failed, then cancelled": {[]domain.Fact{started, failed, cancelled}, "already-cancelled", "already-cancelled"},
	} {
		var r domain.Response
		for _, f := range c.so {
			r = r.Apply(f)
		}
		for want, command := range map[*string]any{&c.retry: domain.RetryAnswer{Reason: "no more"}, &c.ended: domain.CancelAnswer{Reason: "no more"}} {
			facts, err := r.Overrule(command)
			var refused *domain.Error
			code := ""
			if errors.As(err, &refused) {
				code = refused.Code
			}
			if code != *want || (len(facts) == 1) != (*want == "") {
				t.Errorf("%s, %T: %v %v, want %q", name, command, facts, err, *want)
			}
		}
	}
	got, err := domain.Response{}.Apply(started).Overrule(domain.CancelAnswer{Reason: "no more"})
	if err != nil || got[0] != domain.Fact(ended) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (domain.Response{}).Overrule(domain.CancelAnswer{Reason: strings.Repeat("x", 501)}); err == nil {
		t.Error("a long reason is taken")
	}
	if _, err := (domain.Response{}).Overrule("x"); err == nil {
		t.Error("any command is taken")
	}
}
