package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"sallyport/api/console/schemaform"
	"sallyport/domain"
)

// ofAnalysts is what people do who answer requests.
func ofAnalysts() []page {
	who := []domain.UserRole{domain.RoleAnalyst}
	return []page{
		{key: "work", path: "work", site: domain.ResponseSite, roles: who, area: areaWork, show: showWork},
		{key: "task", path: "work/{id}", site: domain.ResponseSite, roles: who, show: showTask, body: maxAnswerForm,
			acts: []act{{"work/{id}/claim", claimTask}, {"work/{id}/release", endTask}, {"work/{id}/fail", sure("work.fail.confirm", endTask)}, {"work/{id}/answer", answerTask}}},
	}
}

// maxAnswerForm is a file that an answer may be, and what stands around it.
const maxAnswerForm = domain.MaxAnswerFile + 1<<20

// work is work as GET /work lists it.
type work struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	State        string  `json:"state"`
	Priority     int     `json:"priority"`
	Username     *string `json:"username"`
	Origin       string  `json:"origin"`
	AskedAt      string  `json:"asked_at"`
	ClaimedBy    *string `json:"claimed_by"`
	ClaimedUntil *string `json:"claimed_until"`
	Mine         bool    `json:"mine"`
	Outcome      string  `json:"outcome"` // empty: none yet
	ClosedAt     *string `json:"closed_at"`
	ClosedBy     *string `json:"closed_by"`
}

// workList is what waits, or was done.
type workList struct {
	browse[work]
	Now time.Time
}

// Age is how long ago something was: a unit and how many of it.
func (l workList) Age(at string) (a age) {
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return age{"minutes", 0}
	}
	switch d := l.Now.Sub(t); {
	case d < time.Hour:
		return age{"minutes", int(max(d, 0) / time.Minute)}
	case d < 48*time.Hour:
		return age{"hours", int(d / time.Hour)}
	default:
		return age{"days", int(d / (24 * time.Hour))}
	}
}

type age struct {
	Unit string // minutes, hours or days
	N    int
}

func showWork(v *visit) error {
	l := workList{Now: v.console.Now()}
	if err := l.through(v, "/work", "25", "state", "mine"); err != nil {
		return v.again(l, err)
	}
	return v.show(l)
}

// task is one piece of work with all that it takes to answer it.
type task struct {
	work
	Title        *string         `json:"title"`
	Description  *string         `json:"description"`
	Params       json.RawMessage `json:"params"`
	Instructions string          `json:"instructions"`
	ResultSchema json.RawMessage `json:"result_schema"`
	ClaimMinutes int             `json:"claim_minutes"`
	Earlier      []struct {
		ID         string          `json:"id"`
		AnsweredAt string          `json:"answered_at"`
		AnsweredBy *string         `json:"answered_by"`
		Bytes      int64           `json:"bytes"`
		Result     json.RawMessage `json:"result"`
	} `json:"earlier_answers"`
	Answer *struct {
		ContentType string          `json:"content_type"`
		Result      json.RawMessage `json:"result"`
	} `json:"answer"`
	Failure *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"failure"`

	Form   *schemaform.Form `json:"-"` // nil: any JSON will do
	Mode   string           `json:"-"` // form, json or file
	Result string           `json:"-"` // as it was written, of json
	Asked  []asked          `json:"-"` // what was asked, by its places
}

// asked is one parameter of a request.
type asked struct {
	Name  string
	Value string
	Text  bool // it is a text for people, else JSON
}

// task reads the work that the page's path names.
func (v *visit) task() (*task, error) {
	k := &task{}
	if err := v.get("/work/"+v.part("id"), k); err != nil {
		return nil, err
	}
	var params map[string]json.RawMessage
	if json.Unmarshal(k.Params, &params) == nil {
		for _, name := range namesIn(k.Params) {
			var text string
			isText := json.Unmarshal(params[name], &text) == nil
			if !isText {
				text = string(params[name])
			}
			k.Asked = append(k.Asked, asked{name, text, isText})
		}
	}
	if len(k.ResultSchema) > 0 && string(k.ResultSchema) != "null" {
		form, err := schemaform.New(k.ResultSchema, "/result")
		if err != nil {
			return nil, err
		}
		if !form.Bare {
			k.Form = form
		}
	}
	k.Mode = v.r.URL.Query().Get("mode")
	if k.Mode != "file" && (k.Mode != "json" && k.Form == nil || k.Mode == "") {
		k.Mode = "json"
		if k.Form != nil {
			k.Mode = "form"
		}
	}
	return k, nil
}

// namesIn are the names of an object's members, in its order.
func namesIn(object json.RawMessage) (names []string) {
	dec := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := dec.Token(); err != nil {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return names
		}
		text, _ := name.(string)
		names = append(names, text)
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return names
		}
	}
	return names
}

func showTask(v *visit) error {
	k, err := v.task()
	if err != nil {
		return err
	}
	return v.show(k)
}

// onTask sends a decision about the work and leads back to it, or shows what
// was wrong with what was written.
func (v *visit) onTask(verb string, body any, written func(*task)) error {
	if _, err := v.send(http.MethodPost, "/work/"+v.part("id")+"/"+verb, body, nil, nil); err != nil {
		k, missing := v.task()
		if missing != nil {
			return missing
		}
		if written != nil {
			written(k)
		}
		return v.again(k, err)
	}
	return v.done("work/"+v.part("id"), "work-"+verb)
}

func claimTask(v *visit) error { return v.onTask("claim", nil, nil) }

// endTask releases the work or fails it, as the last part of its path says.
func endTask(v *visit) error {
	verb := v.r.URL.Path[strings.LastIndexByte(v.r.URL.Path, '/')+1:]
	return v.onTask(verb, map[string]string{"reason": v.form("reason")}, nil)
}

// taskAnswer is what POST /work/{id}/answer takes: one of the two.
type taskAnswer struct {
	Result json.RawMessage    `json:"result,omitempty"`
	File   *domain.AnswerFile `json:"file,omitempty"`
}

func answerTask(v *visit) error {
	if media, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type")); media == "multipart/form-data" {
		return v.answerByFile()
	}
	if v.form("mode") != "form" {
		text := v.form("result")
		written := func(k *task) { k.Mode, k.Result = "json", text }
		if result := json.RawMessage(text); json.Valid(result) {
			return v.onTask("answer", taskAnswer{Result: result}, written)
		}
		k, err := v.task()
		if err != nil {
			return err
		}
		written(k)
		return v.again(k, &problem{Status: http.StatusUnprocessableEntity, Title: "Not JSON", Key: "json",
			Detail: "the answer is not one JSON value", Errors: []fieldError{{Pointer: "/result", Code: domain.FieldJSON, Detail: notJSON(text)}}})
	}
	k, err := v.task()
	if err != nil {
		return err
	}
	if k.Form == nil {
		return errForm
	}
	result := k.Form.Read(v.form)
	return v.onTask("answer", taskAnswer{Result: result}, func(k *task) {
		if k.Mode = "form"; k.Form != nil {
			k.Form.Fill(result)
		}
	})
}

// answerByFile takes the file of the form, and sends it as the API wants it.
func (v *visit) answerByFile() error {
	written := func(k *task) { k.Mode = "file" }
	refuse := func(why *problem) error {
		k, err := v.task()
		if err != nil {
			return err
		}
		written(k)
		return v.again(k, why)
	}
	file, header, err := v.r.FormFile("file")
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return refuse(errFileTooLarge)
	case errors.Is(err, http.ErrMissingFile):
		return refuse(errNoFile)
	case err != nil:
		return errForm
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, domain.MaxAnswerFile+1))
	if err != nil {
		return errForm
	}
	if len(content) > domain.MaxAnswerFile {
		return refuse(errFileTooLarge)
	}
	media := header.Header.Get("Content-Type")
	if media == "" {
		media = "application/octet-stream"
	}
	return v.onTask("answer", taskAnswer{File: &domain.AnswerFile{Name: filepath.Base(header.Filename), ContentType: media,
		Base64: base64.StdEncoding.EncodeToString(content)}}, written)
}
