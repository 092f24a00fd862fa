package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// requestPage is one request with its history on both networks.
type requestPage struct {
	request
	Steps  []step
	More   bool // the history is longer than what is shown
	Reason string
}

// Open reports whether something may still be done about the request.
func (q request) Open() bool {
	return q.Status != "answered" && q.Status != "failed" && q.Status != "cancelled"
}

// pastEvent is one event of a request's history, as GET /requests/{id}/events
// tells it.
type pastEvent struct {
	Type    string          `json:"type"`
	Origin  string          `json:"origin"`
	At      string          `json:"at"`
	Actor   string          `json:"actor"`
	Pos     int64           `json:"pos"`
	Seq     int64           `json:"seq"`
	Data    json.RawMessage `json:"data"`
	Bundles []carrier       `json:"bundles"`
}

// carrier is a bundle that carried an event.
type carrier struct {
	Direction string  `json:"direction"`
	Peer      string  `json:"peer"`
	Seq       int64   `json:"seq"`
	ID        string  `json:"id"`
	State     string  `json:"state"`
	At        *string `json:"at"`
}

// step is one line of a request's timeline: an event, or a bundle on its way.
type step struct {
	Event  *pastEvent
	Detail eventDetail
	Bundle *carrier
	Here   string // the site of this console
}

// eventDetail is what a timeline tells of an event's data.
type eventDetail struct {
	Responder string `json:"responder"`
	Attempt   int    `json:"attempt"`
	Reason    string `json:"reason"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Count     *int   `json:"result_count"`
	TookMS    *int64 `json:"took_ms"`
	Truncated bool   `json:"truncated"`
	Error     struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
}

// timeline puts each bundle once, after the last of the events in a row that it
// carried.
func timeline(events []pastEvent, here string) (steps []step) {
	for i := range events {
		e := &events[i]
		s := step{Event: e, Here: here}
		if err := json.Unmarshal(e.Data, &s.Detail); err != nil {
			s.Detail = eventDetail{} // of another shape: the event's type says enough
		}
		steps = append(steps, s)
		for j := range e.Bundles {
			b := &e.Bundles[j]
			if i+1 < len(events) && carriedBy(events[i+1], *b) {
				continue
			}
			steps = append(steps, step{Bundle: b, Here: here})
		}
	}
	return steps
}

func carriedBy(e pastEvent, b carrier) bool {
	for _, other := range e.Bundles {
		if other.Direction == b.Direction && other.Peer == b.Peer && other.Seq == b.Seq {
			return true
		}
	}
	return false
}

func (v *visit) requestPage() (requestPage, error) {
	var p requestPage
	if err := v.get("/requests/"+v.part("id"), &p.request); err != nil {
		return p, err
	}
	var events list[pastEvent]
	if err := v.get("/requests/"+v.part("id")+"/events?limit=100", &events); err != nil {
		return p, err
	}
	p.Steps, p.More = timeline(events.Items, v.console.Site), events.Next != nil
	return p, nil
}

func showRequest(v *visit) error {
	p, err := v.requestPage()
	if err != nil {
		return err
	}
	return v.show(p)
}

func cancelRequest(v *visit) error {
	return v.changeRequest(http.MethodDelete, "?"+url.Values{"reason": {v.form("reason")}}.Encode(), nil, "cancelled")
}

func retryRequest(v *visit) error {
	return v.changeRequest(http.MethodPost, "/retry", map[string]string{"reason": v.form("reason")}, "retried")
}

func (v *visit) changeRequest(method, rest string, body any, note string) error {
	id := v.part("id")
	if _, err := v.send(method, "/requests/"+id+rest, body, nil, nil); err != nil {
		p, again := v.requestPage()
		if again != nil {
			return again
		}
		p.Reason = v.form("reason")
		return v.again(p, err)
	}
	return v.done("requests/"+id, note)
}

// answerPage is what came back.
type answerPage struct {
	request
	Answer  *answer
	Table   *table // nil: it is no list of objects
	File    *answerFile
	AsJSON  bool
	Waiting bool
}

// answer is what GET /requests/{id}/response gives.
type answer struct {
	Status      string          `json:"status"`
	Result      json.RawMessage `json:"result"`
	Count       int             `json:"result_count"`
	TookMS      int64           `json:"took_ms"`
	Truncated   bool            `json:"truncated"`
	Responder   string          `json:"responder"`
	Cached      bool            `json:"cached"`
	ContentType string          `json:"content_type"`
	Recorded    string          `json:"recorded_at"`
	Error       *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
}

func (v *visit) answerPage() (answerPage, error) {
	var p answerPage
	if err := v.get("/requests/"+v.part("id"), &p.request); err != nil {
		return p, err
	}
	if p.Waiting = p.Open(); p.Waiting {
		return p, nil
	}
	if err := v.get("/requests/"+v.part("id")+"/response", &p.Answer); err != nil {
		return p, err
	}
	p.Waiting = p.Answer.Status == "" // it was asked again meanwhile
	p.File = fileIn(p.Answer.Result)
	p.Table = tableOf(p.Answer.Result)
	return p, nil
}

func showAnswer(v *visit) error {
	p, err := v.answerPage()
	var wrong *problem
	if errors.As(err, &wrong) && wrong == errTooLarge { //nolint:errorlint // the very one
		return v.render(http.StatusOK, v.page.key, p, wrong)
	}
	if err != nil {
		return err
	}
	p.AsJSON = v.r.URL.Query().Get("as") == "json" || p.Table == nil
	return v.show(p)
}

func downloadAnswer(v *visit) error {
	id := v.part("id")
	return v.pass("/requests/"+id+"/response", "answer-"+id+".json")
}

// downloadFile hands the file on that somebody answered with.
func downloadFile(v *visit) error {
	p, err := v.answerPage()
	if err != nil {
		return err
	}
	if p.File == nil {
		return errNoPage
	}
	h := v.w.Header()
	// Whatever somebody calls it: it is stored, and never shown by the browser.
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+strings.Map(plainName, p.File.Name)+`"`)
	if _, err := v.w.Write(p.File.Content); err != nil {
		return nil //nolint:nilerr // the browser went away
	}
	return nil
}
