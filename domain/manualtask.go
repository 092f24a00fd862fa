package domain

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
)

// ResponderManual answers by a person: an analyst of the response site.
const ResponderManual ResponderKind = "manual"

// ManualTask says what an analyst is to do about requests of a type.
type ManualTask struct {
	// Instructions are for the analyst, in lines of plain text.
	Instructions string `json:"instructions,omitempty"`
	// ResultSchema is a JSON Schema, draft 2020-12, that an answer in JSON must
	// satisfy; nil: any JSON will do.
	ResultSchema json.RawMessage `json:"result_schema,omitempty"`
	// ClaimMinutes is how long a claim lasts that is not prolonged.
	ClaimMinutes int `json:"claim_minutes"`
}

// Bounds and defaults of a task.
const (
	DefaultClaimMinutes = 30
	MaxClaimMinutes     = 7 * 24 * 60
	maxInstructions     = 4000
	maxResultSchema     = 64 << 10
)

// filled is the task with what was left out; what is nil stays nil.
func (t *ManualTask) filled() *ManualTask {
	if t == nil || t.ClaimMinutes != 0 {
		return t
	}
	out := *t
	out.ClaimMinutes = DefaultClaimMinutes
	return &out
}

func (t *ManualTask) check(f *fieldErrors) {
	lines := strings.NewReplacer("\n", " ", "\t", " ").Replace(t.Instructions)
	f.text("/task/instructions", lines, 0, maxInstructions)
	f.require(len(t.ResultSchema) <= maxResultSchema, "/task/result_schema", FieldTooLarge, "must be at most %d KiB", maxResultSchema>>10)
	f.within("/task/claim_minutes", t.ClaimMinutes, 1, MaxClaimMinutes)
}

// MaxAnswerFile bounds a file that an analyst answers with, in bytes.
const MaxAnswerFile = 8 << 20

const maxFileName = 255

// AnswerFile is a file as an answer holds it.
type AnswerFile struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Base64      string `json:"base64"` // RFC 4648, section 4, with padding
}

func (a AnswerFile) check(f *fieldErrors) {
	f.text("/file/name", a.Name, 1, maxFileName)
	f.require(!strings.ContainsAny(a.Name, `/\`) && a.Name != "." && a.Name != "..", "/file/name", FieldForm, "must be a file's name without its folders")
	media, _, err := mime.ParseMediaType(a.ContentType)
	f.require(err == nil && strings.Contains(media, "/") && len(a.ContentType) <= maxContentType, "/file/content_type", FieldForm, "must be a media type such as application/pdf")
	if base64.StdEncoding.DecodedLen(len(a.Base64)) > MaxAnswerFile+2 {
		f.require(false, "/file/base64", FieldTooLarge, "must hold at most %d MiB", MaxAnswerFile>>20)
		return
	}
	b, err := base64.StdEncoding.Strict().DecodeString(a.Base64)
	f.require(err == nil && !strings.ContainsAny(a.Base64, "\r\n"), "/file/base64", FieldForm, "must be base64 with padding, in one line")
	f.require(len(b) <= MaxAnswerFile, "/file/base64", FieldTooLarge, "must hold at most %d MiB", MaxAnswerFile>>20)
}

// WorkAnswer is what an analyst answers with: one of the two.
type WorkAnswer struct {
	Result json.RawMessage // nil: none
	// ResultErrors are what the task's schema finds wrong with Result.
	ResultErrors []FieldError
	File         *AnswerFile
}

// Recorded returns the answer as it is recorded. A file is the member `file` of
// the result, and the answer's content type is the file's.
func (a WorkAnswer) Recorded() (ResponseRecorded, error) {
	out := ResponseRecorded{Status: StatusAnswered, Responder: ResponderManual, Result: a.Result, ResultCount: 1, ContentType: "application/json"}
	f := fieldErrors(a.ResultErrors)
	f.require((a.Result == nil) != (a.File == nil), "", FieldOneOfBoth, "must hold either result or file")
	if a.File != nil {
		a.File.check(&f)
	}
	if err := f.err("answer"); err != nil {
		return ResponseRecorded{}, err
	}
	if a.File == nil {
		var rows []json.RawMessage
		if json.Unmarshal(a.Result, &rows) == nil && rows != nil {
			out.ResultCount = len(rows)
		}
		return out, nil
	}
	result, err := json.Marshal(map[string]*AnswerFile{"file": a.File})
	if err != nil {
		return ResponseRecorded{}, fmt.Errorf("encode the file: %w", err)
	}
	out.Result, out.ContentType = result, a.File.ContentType
	return out, nil
}

// CodeFailedByAnalyst is response.failed's code when an analyst says that there
// will be no answer.
const CodeFailedByAnalyst = "failed_by_analyst"

// FailWork returns the failure that an analyst records, whose reason is for the
// one who asked.
func FailWork(reason string) (ResponseFailed, error) {
	var f fieldErrors
	f.words("/reason", reason, maxErrorText)
	return ResponseFailed{Code: CodeFailedByAnalyst, Error: reason}, f.err("reason")
}
