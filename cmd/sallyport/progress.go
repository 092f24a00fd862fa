package main

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells on stderr how far a command has got: a bar on a terminal,
// otherwise a JSON object on a line of its own at the start, once a second and
// at the end. One goroutine at a time may use it.
type progress struct {
	to     io.Writer
	events bool                     // what is counted is events of the log, else bytes
	bar    *progressbar.ProgressBar // nil where there is no terminal, and before Start
	state  progressLine
	said   time.Time
}

type progressLine struct {
	Doing string `json:"doing"`
	Done  int64  `json:"done_bytes"`
	Total int64  `json:"total_bytes"`
}

// eventsLine is a progressLine that counts events.
type eventsLine struct {
	Doing string `json:"doing"`
	Done  int64  `json:"done_events"`
	Total int64  `json:"total_events"`
}

func (p *program) progress() *progress { return &progress{to: p.stderr} }

// Start begins a piece of work of a number of bytes or events; none is worth no word.
func (g *progress) Start(doing string, total int64) {
	g.state = progressLine{Doing: doing, Total: total}
	if total == 0 {
		return
	}
	if f, ok := g.to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		g.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(g.to), progressbar.OptionSetDescription(doing),
			progressbar.OptionShowBytes(!g.events), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		return
	}
	g.say()
}

// Add counts what is done.
func (g *progress) Add(n int64) {
	g.state.Done += n
	switch {
	case g.bar != nil:
		_ = g.bar.Add64(n) // more than was announced is no failure of the work
	case g.state.Total > 0 && time.Since(g.said) >= time.Second:
		g.say()
	}
}

// Finish ends what Start began, however far it got; without Start it does nothing.
func (g *progress) Finish() {
	switch {
	case g.bar != nil:
		_ = g.bar.Clear() // it is only in the way now
	case g.state.Total > 0:
		g.say()
	}
	g.bar, g.state = nil, progressLine{}
}

func (g *progress) say() {
	g.said = time.Now()
	var line any = g.state
	if g.events {
		line = eventsLine(g.state)
	}
	_ = json.NewEncoder(g.to).Encode(line) // as everything on stderr
}
