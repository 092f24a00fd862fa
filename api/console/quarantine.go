package console

import (
	"net/http"
	"strings"
)

// refused is a refused file and what was decided about it.
type refused struct {
	ID        string  `json:"id"`
	File      string  `json:"file"`
	SHA256    string  `json:"sha256"`
	Peer      string  `json:"peer"`
	Seq       int64   `json:"seq"`
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	Frame     int64   `json:"frame"`
	Line      int64   `json:"line"`
	Position  int64   `json:"position"`
	NextStep  string  `json:"next_step"`
	At        string  `json:"at"`
	Decided   string  `json:"decided"`
	DecidedBy string  `json:"decided_by"`
	DecidedAt *string `json:"decided_at"`
}

// refusals are the codes of what is wrong with a file, as it is said in words.
var refusals = []string{"damaged", "incomplete", "untrusted", "refused", "fork", "gap", "duplicate", "upgrade"}

func showQuarantine(v *visit) error {
	var b browse[refused]
	if err := b.through(v, "/admin/quarantine", "25", "peer", "all"); err != nil {
		return v.again(b, err)
	}
	return v.show(b)
}

func (v *visit) refusedFile() (q refused, err error) {
	err = v.get("/admin/quarantine/"+v.part("id"), &q)
	return q, err
}

func showRefused(v *visit) error {
	q, err := v.refusedFile()
	if err != nil {
		return err
	}
	return v.show(q)
}

// decideRefused releases or rejects a file, as the last part of its path says.
func decideRefused(v *visit) error {
	verb := v.r.URL.Path[strings.LastIndexByte(v.r.URL.Path, '/')+1:]
	if _, err := v.send(http.MethodPost, "/admin/quarantine/"+v.part("id")+"/"+verb, map[string]string{"reason": v.form("reason")}, nil, nil); err != nil {
		q, missing := v.refusedFile()
		if missing != nil {
			return missing
		}
		return v.again(q, err)
	}
	return v.done("quarantine/"+v.part("id"), "file-"+verb)
}
