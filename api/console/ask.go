package console

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"sallyport/api/console/schemaform"

	"sallyport/domain"
)

// askForm is the page where a request of one type is written.
type askForm struct {
	Type     requestType
	Form     *schemaform.Form
	Examples []json.RawMessage
	AsJSON   bool   // the parameters are written as JSON
	Params   string // then, these
	Name     string
	Priority string
	Highest  int    // priority that the user may have
	Key      string // makes two clicks one request
}

func showTypes(v *visit) error {
	var types list[requestType]
	path := "/request-types?limit=50"
	if cursor := v.r.URL.Query().Get("cursor"); cursor != "" {
		path += "&cursor=" + queryEscape(cursor)
	}
	if err := v.get(path, &types); err != nil {
		return err
	}
	return v.show(struct {
		list[requestType]
		pagingLinks
	}{types, v.paging("ask", nil, types.Next)})
}

// askOf begins the form of the type that the page's path names.
func (v *visit) askOf() (*askForm, error) {
	a := &askForm{Key: rand.Text(), Highest: v.user.Priority}
	if err := v.get("/request-types/"+v.part("type"), &a.Type); err != nil {
		return nil, err
	}
	var err error
	if a.Form, err = schemaform.New(a.Type.Parameters, "/params"); err != nil {
		return nil, err
	}
	var schema struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(a.Type.Parameters, &schema); err != nil {
		return nil, err
	}
	a.Examples = schema.Examples
	return a, nil
}

func showAsk(v *visit) error {
	a, err := v.askOf()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	a.AsJSON = a.Form.Bare || q.Get("mode") == "json"
	params, err := v.askedBefore(a, q.Get("like"), q.Get("example"))
	if err != nil {
		return err
	}
	if params != nil {
		a.Form.Fill(params)
		if a.Params, err = indented(params); err != nil {
			return err
		}
	}
	return v.show(a)
}

// askedBefore gives parameters to begin with: those of an earlier request, or
// of one of the type's examples.
func (v *visit) askedBefore(a *askForm, like, example string) (json.RawMessage, error) {
	if like != "" {
		var q request
		if err := v.get("/requests/"+pathEscape(like), &q); err != nil {
			return nil, err
		}
		if q.Type == a.Type.Name {
			return q.Params, nil
		}
	}
	if i := strings.Index("0123456789", example); example != "" && i >= 0 && i < len(a.Examples) {
		return a.Examples[i], nil
	}
	return nil, nil
}

// newRequest is what POST /requests takes.
type newRequest struct {
	Type     string          `json:"type"`
	Params   json.RawMessage `json:"params"`
	Name     string          `json:"name,omitempty"`
	Priority json.RawMessage `json:"priority,omitempty"`
}

func ask(v *visit) error {
	a, err := v.askOf()
	if err != nil {
		return err
	}
	a.Name, a.Priority = v.form("name"), v.form("priority")
	in := newRequest{Type: a.Type.Name, Name: a.Name, Priority: asNumber(a.Priority)}
	if a.AsJSON = v.form("mode") == "json"; a.AsJSON {
		a.Params = v.form("params")
		if in.Params = json.RawMessage(a.Params); !json.Valid(in.Params) {
			return v.again(a, &problem{Status: http.StatusUnprocessableEntity, Title: "Not JSON", Key: "json",
				Detail: "the parameters are not one JSON value", Errors: []fieldError{{Pointer: "/params", Code: domain.FieldJSON, Detail: notJSON(a.Params)}}})
		}
	} else {
		in.Params = a.Form.Read(v.form)
	}
	var made request
	_, err = v.send(http.MethodPost, "/requests", in, &made, map[string]string{"Idempotency-Key": v.form("key")})
	if err != nil {
		return v.again(a, err)
	}
	return v.done("requests/"+made.ID, "asked")
}

// notJSON says where a text stops being JSON.
func notJSON(text string) string {
	var any json.RawMessage
	err := json.Unmarshal([]byte(text), &any)
	var at *json.SyntaxError
	switch {
	case errors.As(err, &at):
		before := text[:min(int(at.Offset), len(text))]
		return at.Error() + ", in line " + strconv.Itoa(strings.Count(before, "\n")+1)
	case err != nil:
		return err.Error()
	}
	return "is no JSON"
}

// asNumber is a number as it was written, or the text, for the API to refuse.
func asNumber(text string) json.RawMessage {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return quoted
}
