package media

import (
	"fmt"
	"strings"
	"time"

	"sallyport/bridge/bundle"
)

// readmeName is what the file for people is called.
func readmeName(p Pool) string { return "READ-ME-" + p.String() + ".txt" }

// describe writes down for people what is on the medium. No program reads it.
func (w *writing) describe() error {
	return writeText(w.medium, readmeName(w.Pool), w.readme(time.Now()))
}

func (w *writing) readme(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, `sallyport medium

from       %s
to         %s
pool       %s: use this medium in no other direction
medium     %s
serial     %s
written    %s by %s

Put the files that begin with sp1_ into the inbox of %s, or run there:

    sallyport media read <where the medium is mounted>

`, w.Pool.From, w.Pool.To, w.result.Pool, w.result.Medium, w.result.Serial.Text, bundle.FormatTime(now), w.Operator, w.Pool.To)
	for _, f := range w.result.Files {
		what := fmt.Sprintf("bundle %d, positions %d to %d", f.Seq, f.After+1, f.Through)
		if f.Beacon {
			what = fmt.Sprintf("beacon after bundle %d", f.Seq)
		}
		fmt.Fprintf(&b, "%s\n    %s\n    %d bytes\n    SHA-256 %s\n\n", f.Name, what, f.Bytes, f.SHA256)
	}
	if len(w.result.Others) > 0 {
		fmt.Fprintf(&b, "Also on it, from before:\n\n    %s\n\n", strings.Join(w.result.Others, "\n    "))
	}
	b.WriteString("handed over by  ____________________   on  ____________________\n")
	b.WriteString("received by     ____________________   on  ____________________\n")
	return b.String()
}
