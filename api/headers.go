package api

import (
	"net/http"
	"strconv"
)

// headers gathers what an answer says in its headers. Their text shares one
// piece of memory and their slices another, where each would take two.
type headers struct {
	text  []byte
	lines []headerLine
}

type headerLine struct {
	name string
	end  int // of the value in text; it begins where the one before ends
}

// begin is where the value begins that is being written.
func (h *headers) begin() int {
	if len(h.lines) == 0 {
		return 0
	}
	return h.lines[len(h.lines)-1].end
}

// end makes a header of what was written since the last one; of nothing, none.
func (h *headers) end(name string) {
	if len(h.text) > h.begin() {
		h.lines = append(h.lines, headerLine{name, len(h.text)})
	}
}

// next begins another member of a list.
func (h *headers) next() {
	if len(h.text) > h.begin() {
		h.text = append(h.text, ", "...)
	}
}

func (h *headers) add(text string) { h.text = append(h.text, text...) }

func (h *headers) addInt(n int64) { h.text = strconv.AppendInt(h.text, n, 10) }

func (h *headers) set(name, value string) {
	h.add(value)
	h.end(name)
}

func (h *headers) setInt(name string, n int64) {
	h.addInt(n)
	h.end(name)
}

// reset forgets all, but for the memory.
func (h *headers) reset() { h.text, h.lines = h.text[:0], h.lines[:0] }

// into gives an answer the headers, in place of those of the same names.
func (h *headers) into(to http.Header) {
	text, values, from := string(h.text), make([]string, len(h.lines)), 0
	for i, l := range h.lines {
		values[i] = text[from:l.end]
		to[l.name] = values[i : i+1 : i+1]
		from = l.end
	}
}
