package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
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
	// Key is of a message that says it in the reader's language: problem.KEY;
	// empty: Title and Detail are all there is.
	Key string `json:"-"`
}

type fieldError struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter"`
	Detail    string `json:"detail"`
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
func (p *problem) At(pointer string) string {
	if p == nil {
		return ""
	}
	var all []string
	for _, e := range p.Errors {
		if at := e.Pointer; at == pointer || pointer != "" && strings.HasPrefix(at, pointer+"/") || e.Parameter != "" && e.Parameter == pointer {
			all = append(all, e.Detail)
		}
	}
	return strings.Join(all, "; ")
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
