package console

import (
	"net/http"
	"net/url"
)

// schedules are the jobs that come by themselves.
type schedules struct {
	Periodic []schedule `json:"periodic"`
	Leader   *struct {
		ID    string `json:"id"`
		Since string `json:"since"`
	} `json:"leader"`
}

type schedule struct {
	Job      string  `json:"job"`
	What     string  `json:"what"`
	NextAt   string  `json:"next_at"`
	BeganAt  *string `json:"began_at"`
	EndedAt  *string `json:"ended_at"`
	Failed   bool    `json:"failed"`
	Result   string  `json:"result"`
	LastDone *string `json:"last_done"`

	ResultCode string           `json:"result_code"`
	Figures    map[string]int64 `json:"figures"`
}

// State is how its newest run went: never, running, failed or done.
func (s schedule) State() string {
	switch {
	case s.BeganAt == nil:
		return "never"
	case s.Failed:
		return "failed"
	case s.EndedAt == nil:
		return "running"
	}
	return "done"
}

func showSchedules(v *visit) error {
	var s schedules
	if err := v.get("/admin/queue?limit=1", &s); err != nil {
		return err
	}
	return v.show(s)
}

func runSchedule(v *visit) error {
	if _, err := v.send(http.MethodPost, "/admin/queue/"+url.PathEscape(v.r.PathValue("job"))+"/retry", nil, nil, nil); err != nil {
		var s schedules
		if missing := v.get("/admin/queue?limit=1", &s); missing != nil {
			return missing
		}
		return v.again(s, err)
	}
	return v.done("schedules", "schedule-asked")
}
