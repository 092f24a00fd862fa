package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"html"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

// problem is a problem document of the API, or of the console in its form.
type problem struct {
	Type    string       `json:"type"`
	Title   string       `json:"title"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail"`
	TraceID string       `json:"trace_id"`
	Errors  []fieldError `json:"errors"`
	// RetryAfter is in seconds, as the API said it; empty: it did not.
	RetryAfter string `json:"-"`
	// words are the reader's, see render; nil: Detail is all there is.
	words *language
	// Key is of a message that says it in the reader's language: problem.KEY;
	// empty: Title and Detail are all there is.
	Key string `json:"-"`
}

type fieldError struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter"`
	Code      string `json:"code"` // empty: Detail is of the console, in the reader's words
	Detail    string `json:"detail"`
	// Least and Most are the bounds that the code speaks of; empty: of none.
	Least json.Number `json:"least"`
	Most  json.Number `json:"most"`
}

// in is the problem for a reader of a language.
func (p *problem) in(l *language) *problem {
	if p == nil {
		return nil
	}
	out := *p
	out.words = l
	return &out
}

// Says is what is wrong with a field in the reader's words, with its bounds if
// there are some; what there are no words for, as the API says it.
func (p *problem) Says(e fieldError) template.HTML {
	detail := template.HTML(html.EscapeString(e.Detail)) //nolint:gosec // escaped
	if p.words == nil || e.Code == "" {
		return detail
	}
	detail = `<bdi lang="en">` + detail + `</bdi>`
	for _, key := range e.keys() {
		if p.words.Has(key) {
			return p.words.T(key, "least", p.words.bound(e.Least), "most", p.words.bound(e.Most), "detail", detail)
		}
	}
	return detail
}

// keys are those of messages that may say it, the most exact one first.
func (e fieldError) keys() []string {
	key := "wrong." + e.Code
	keys := []string{key}
	if e.Most != "" {
		keys = append(keys, key+".most")
	}
	if e.Least != "" {
		keys = append(keys, key+".least")
	}
	if e.Least != "" && e.Most != "" {
		keys = append(keys, key+".between")
	}
	slices.Reverse(keys)
	return keys
}

// Field is the name of what it is about; empty: the whole.
func (e fieldError) Field() string { return cmp.Or(strings.TrimPrefix(e.Pointer, "/"), e.Parameter) }

// Anchor is the id of its field on the page.
func (e fieldError) Anchor() string {
	if strings.HasPrefix(e.Pointer, "/params/") || strings.HasPrefix(e.Pointer, "/result/") {
		return "f" + e.Pointer
	}
	return e.Field()
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

const problemPrefix = "urn:sallyport:problem:"

// Code is what the API calls the problem.
func (p *problem) Code() string { return strings.TrimPrefix(p.Type, problemPrefix) }

func (p *problem) status() int { return max(p.Status, http.StatusBadRequest) }

// At returns what is wrong at a place of the body: there or below it. Query
// parameters are named as they are.
func (p *problem) At(pointer string) template.HTML {
	if p == nil {
		return ""
	}
	var all []string
	for _, e := range p.Errors {
		if at := e.Pointer; at == pointer || pointer != "" && strings.HasPrefix(at, pointer+"/") || e.Parameter != "" && e.Parameter == pointer {
			all = append(all, string(p.Says(e)))
		}
	}
	return template.HTML(strings.Join(all, "; ")) //nolint:gosec // escaped each
}

var (
	errSignedOut = errors.New("nobody is signed in")
	errTooLarge  = &problem{Title: "Too large to show", Status: http.StatusInsufficientStorage, Key: "too-large",
		Detail: "this is larger than a page shows: download it instead"}
	errNoPage       = &problem{Title: "No such page", Status: http.StatusNotFound, Key: "no-page", Detail: "there is no such page: go on from the front page"}
	errOtherSite    = &problem{Title: "On the other site", Status: http.StatusNotFound, Key: "other-site", Detail: "this page is on the site of the other role: go there"}
	errOtherRole    = &problem{Title: "Not for your role", Status: http.StatusForbidden, Key: "other-role", Detail: "this page is for another role: ask somebody who has it"}
	errForm         = &problem{Title: "The form did not arrive whole", Status: http.StatusBadRequest, Key: "form", Detail: "nothing was stored: go back and send it again"}
	errFileTooLarge = &problem{Title: "The file is too large", Status: http.StatusRequestEntityTooLarge, Key: "file-too-large", Detail: "nothing was stored: an answer holds a file of at most 8 MiB"}
	errNoFile       = &problem{Title: "No file was chosen", Status: http.StatusUnprocessableEntity, Key: "no-file", Detail: "nothing was stored: choose one or more files"}
	errNoStream     = &problem{Title: "No such stream", Status: http.StatusNotFound, Key: "no-stream", Detail: "this site has no event of it: look for the stream among the events"}
	errPage         = &problem{Title: "Something went wrong here", Status: http.StatusInternalServerError, Key: "page", Detail: "the page could not be made: try again, then tell an operator when it was"}
)

// readProblem makes an error of an answer that is one.
func readProblem(status int, h http.Header, body []byte) error {
	p := &problem{Status: status, RetryAfter: h.Get("Retry-After")}
	if err := json.Unmarshal(body, p); err != nil || p.Title == "" {
		p.Title, p.Detail = http.StatusText(status), strings.TrimSpace(string(body[:min(len(body), 200)]))
	}
	return p
}
