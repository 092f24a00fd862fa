package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
)

// verified is what was found out about all logs of a site.
type verified struct {
	OK   bool `json:"ok"`
	Logs []struct {
		Origin      string `json:"origin"`
		Epoch       string `json:"epoch"`
		Through     int64  `json:"through"`
		Events      int64  `json:"events"`
		Withheld    int64  `json:"withheld"`
		Witnessed   int64  `json:"witnessed"`
		OK          bool   `json:"ok"`
		BadPosition int64  `json:"bad_position"`
		Problem     string `json:"problem"`
	} `json:"logs"`
}

// verifyLogs verifies, and shows what was found when all is done.
func verifyLogs(v *visit) error {
	var found verified
	if err := v.get("/audit/verify", &found); err != nil {
		return v.again(nil, err)
	}
	return v.show(found)
}

// verifyTelling verifies and tells how far it is, a line each; the last line is
// the page with what was found.
func verifyTelling(v *visit) error {
	t := &telling{to: v.w}
	if err := v.ask(t, http.MethodGet, "/audit/verify?progress=true", nil, nil); err != nil {
		return err
	}
	to := v.w
	whole := &recorder{header: http.Header{}, page: to}
	v.w = whole
	var err error
	if t.refused != nil {
		err = v.again(nil, t.refused.result(nil))
	} else {
		var found verified
		if err = json.Unmarshal(t.rest, &found); err == nil {
			err = v.show(found)
		}
	}
	if v.w = to; err != nil {
		return err
	}
	to.Header().Set("Content-Type", "application/jsonl")
	return json.NewEncoder(to).Encode(map[string]string{"page": whole.body.String()})
}

// telling hands on each line but the last one, which it keeps.
type telling struct {
	to      http.ResponseWriter
	own     http.Header
	begun   bool
	rest    []byte // the last line
	refused *recorder
}

func (t *telling) Header() http.Header {
	if t.own == nil {
		t.own = http.Header{}
	}
	return t.own
}

func (t *telling) WriteHeader(status int) {
	if t.begun {
		return
	}
	t.begun = true
	if status != http.StatusOK {
		t.refused = &recorder{header: t.Header(), status: max(status, http.StatusBadRequest), page: t.to}
	}
}

func (t *telling) Write(b []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.refused != nil {
		return t.refused.Write(b)
	}
	t.rest = append(t.rest, b...)
	lines := bytes.SplitAfter(bytes.TrimSuffix(t.rest, []byte("\n")), []byte("\n"))
	for _, line := range lines[:len(lines)-1] {
		t.to.Header().Set("Content-Type", "application/jsonl")
		if _, err := t.to.Write(line); err != nil {
			return 0, err
		}
	}
	t.rest = append([]byte(nil), t.rest[len(bytes.Join(lines[:len(lines)-1], nil)):]...)
	return len(b), nil
}

// Flush sends what was told.
func (t *telling) Flush() { _ = http.NewResponseController(t.to).Flush() } // who has gone shows when more is written

// Unwrap lets the API give the browser's connection more time.
func (t *telling) Unwrap() http.ResponseWriter { return t.to }

// showTakeAway is where files begin that an auditor keeps.
func showTakeAway(v *visit) error { return v.show(v.r.URL.Query()) }

func passEvidence(v *visit) error {
	id := v.r.URL.Query().Get("id")
	return v.pass("/audit/requests/"+url.PathEscape(id)+"/evidence", "evidence-"+id+".txt")
}

func passExport(v *visit) error {
	q := url.Values{}
	for _, name := range []string{"from", "to"} {
		if value := v.r.URL.Query().Get(name); value != "" {
			q.Set(name, value)
		}
	}
	return v.pass("/audit/export?"+q.Encode(), "")
}
