package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"sallyport/api/console/schemaform"
)

// tryForm is the page where a request type is tried out.
type tryForm struct {
	Type   defined
	Form   *schemaform.Form
	AsJSON bool   // the parameters are written as JSON
	Params string // then, these
	User   string // the username whose rights count; empty: an administrator's
	Tried  *tried // nil: nothing was asked yet
	Table  *table
}

// tried is what a request would have been answered.
type tried struct {
	Status    string          `json:"status"`
	Result    json.RawMessage `json:"result"`
	Count     int             `json:"result_count"`
	TookMS    int             `json:"took_ms"`
	Truncated bool            `json:"truncated"`
	Responder string          `json:"responder"`
	Results   int             `json:"max_results"`
	Error     *struct {
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		Retryable bool   `json:"retryable"`
		Cause     string `json:"cause"`
	} `json:"error"`
}

func (v *visit) tryForm(mode string) (t tryForm, err error) {
	if t.Type, _, err = v.typeOf(); err != nil {
		return t, err
	}
	t.Form, err = schemaform.New(t.Type.Parameters, "/params")
	if err == nil {
		t.AsJSON = t.Form.Bare || mode == "json"
	}
	return t, err
}

func showTry(v *visit) error {
	t, err := v.tryForm(v.r.URL.Query().Get("mode"))
	if err != nil {
		return err
	}
	var schema struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(t.Type.Parameters, &schema); err != nil {
		return err
	}
	if len(schema.Examples) > 0 {
		t.Form.Fill(schema.Examples[0])
		if t.Params, err = indented(schema.Examples[0]); err != nil {
			return err
		}
	}
	t.User = v.r.URL.Query().Get("user")
	return v.show(t)
}

func tryType(v *visit) error {
	t, err := v.tryForm(v.form("mode"))
	if err != nil {
		return err
	}
	t.Params, t.User = v.form("params"), strings.TrimSpace(v.form("user"))
	body := map[string]any{}
	if t.AsJSON {
		f := v.typed()
		body["params"] = f.json("params")
		err = f.err()
	} else {
		body["params"] = t.Form.Read(v.form)
	}
	if err == nil && t.User != "" {
		body["user_id"], err = v.idOf(t.User)
	}
	if err == nil {
		_, err = v.send(http.MethodPost, "/request-types/"+v.part("name")+"/try", body, &t.Tried, nil)
	}
	if err != nil {
		t.Tried = nil
		return v.again(t, err)
	}
	t.Table = tableOf(t.Tried.Result)
	return v.show(t)
}
