package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
)

// maxUpload bounds the files of one upload together; the API bounds each.
const maxUpload = 4 << 30

// exchange is what goes in and out by hand, and what came of it.
type exchange struct {
	Links    []link
	Uploaded []uploaded
	Imported []outcome
	Exported *exported
	Did      string // upload, import or export; empty: nothing yet
}

// uploaded is what became of one file of an upload.
type uploaded struct {
	File    string
	State   string // stored, already or failed
	Bytes   int64
	Problem *problem
}

// outcome is what became of one file of the inbox.
type outcome struct {
	File   string `json:"file"`
	Peer   string `json:"peer"`
	Seq    int64  `json:"seq"`
	ID     string `json:"id"`
	State  string `json:"state"`
	Events int64  `json:"events"`
	Reason string `json:"reason"`
}

var (
	uploadStates  = []string{"stored", "already", "failed"}
	outcomeStates = []string{"applied", "held", "duplicate", "quarantined", "ignored"}
	exportKinds   = []string{"data", "beacon", "return"}
)

type exported struct {
	Items []struct {
		Kind     string `json:"kind"`
		Peer     string `json:"peer"`
		Seq      int64  `json:"seq"`
		ID       string `json:"id"`
		File     string `json:"file"`
		Events   int64  `json:"events"`
		Withheld int64  `json:"withheld"`
		Bytes    int64  `json:"bytes"`
		Again    bool   `json:"again"`
	} `json:"items"`
	Stopped []struct {
		Peer   string `json:"peer"`
		Reason string `json:"reason"`
	} `json:"stopped"`
}

func showExchange(v *visit) error { return v.exchanged(exchange{}, nil) }

// exchanged shows the page with what was done.
func (v *visit) exchanged(x exchange, wrong error) error {
	var err error
	if x.Links, err = v.links(); err != nil {
		return err
	}
	if wrong != nil {
		return v.again(x, wrong)
	}
	return v.show(x)
}

// upload puts each file of the form into the inbox, one after the other, as
// they come. One that is refused does not hold up the next.
func upload(v *visit) error {
	x := exchange{Did: "upload"}
	parts, err := v.r.MultipartReader()
	if err != nil {
		return v.exchanged(x, errForm)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v.exchanged(x, errForm)
		}
		if part.FileName() == "" {
			continue // the field was sent without a file
		}
		u, err := v.uploaded(part.FileName(), part)
		if err != nil {
			return err
		}
		x.Uploaded = append(x.Uploaded, u)
	}
	if len(x.Uploaded) == 0 {
		return v.exchanged(x, errNoFile)
	}
	return v.exchanged(x, nil)
}

func (v *visit) uploaded(name string, body io.Reader) (uploaded, error) {
	u := uploaded{File: name, State: "stored"}
	var stored struct {
		Bytes   int64 `json:"bytes"`
		Already bool  `json:"already"`
	}
	_, err := v.send(http.MethodPut, "/admin/inbox/"+url.PathEscape(name), body, &stored, map[string]string{"Content-Type": "application/octet-stream"})
	switch {
	case errors.Is(err, errSignedOut):
		return u, err
	case errors.As(err, &u.Problem):
		u.State = "failed"
	case err != nil:
		return u, err
	case stored.Already:
		u.State = "already"
	}
	u.Bytes = stored.Bytes
	return u, nil
}

func importNow(v *visit) error {
	var done list[outcome]
	_, err := v.send(http.MethodPost, "/admin/bundles/import", nil, &done, nil)
	return v.exchanged(exchange{Did: "import", Imported: done.Items}, err)
}

// exportNow writes what is due for one peer, or for all.
func exportNow(v *visit) error {
	x := exchange{Did: "export"}
	_, err := v.send(http.MethodPost, "/admin/bundles/export", map[string]string{"peer": v.form("peer")}, &x.Exported, nil)
	return v.exchanged(x, err)
}
