package template

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Path is a URL's path with places for parameters. It is safe for concurrent use.
type Path struct {
	segments [][]piece
}

// piece is a part of a segment: text as it stands in a URL, or a parameter.
type piece struct {
	text, name string // one of them
}

const (
	maxPath    = 2 << 10
	maxSegment = 1 << 10 // with its values, before they are escaped
)

var (
	// A segment is made of characters that need no escape in any part of a URL
	// but the slash (RFC 3986, 3.3), and of parameters in braces.
	segmentForm = regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=:@-]|\{[^{}/]{1,128}\})+$`)
	pieceForm   = regexp.MustCompile(`\{[^{}]+\}|[^{}]+`)
	escapeForm  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// ParsePath reads a path such as /orders/{order}. Its error is a [*SyntaxError].
func ParsePath(text string) (*Path, error) {
	rest, absolute := strings.CutPrefix(text, "/")
	if !absolute || len(text) > maxPath {
		return nil, &SyntaxError{Detail: fmt.Sprintf("must be a path such as /orders/{order}, of at most %d KiB", maxPath>>10)}
	}
	p := &Path{}
	for segment := range strings.SplitSeq(rest, "/") {
		switch {
		case segment == "" && rest == "":
			return p, nil
		case segment == "." || segment == ".." || !segmentForm.MatchString(segment):
			return nil, &SyntaxError{Detail: fmt.Sprintf("has the segment %q: a segment is made of A-Z a-z 0-9 . _ ~ ! $ & ' ( ) * + , ; = : @ - and of parameters in braces, and is not empty, . or ..", segment)}
		}
		p.segments = append(p.segments, pieces(segment))
	}
	return p, nil
}

func pieces(segment string) (all []piece) {
	for _, text := range pieceForm.FindAllString(segment, -1) {
		if text[0] == '{' {
			all = append(all, piece{name: text[1 : len(text)-1]})
		} else {
			all = append(all, piece{text: text})
		}
	}
	return all
}

// Names returns the parameters, in the order of the path.
func (p *Path) Names() (names []string) {
	for _, piece := range slices.Concat(p.segments...) {
		if piece.name != "" {
			names = append(names, piece.name)
		}
	}
	return names
}

// Bind returns the path with the parameters in their places, escaped. Its error
// is a [*ValueError].
func (p *Path) Bind(v Values) (string, error) {
	var b strings.Builder
	for _, segment := range p.segments {
		escaped, err := bindSegment(segment, v)
		if err != nil {
			return "", err
		}
		b.WriteString("/" + escaped)
	}
	if b.Len() == 0 {
		return "/", nil
	}
	return b.String(), nil
}

func bindSegment(segment []piece, v Values) (string, error) {
	var escaped, plain strings.Builder
	last := ""
	for _, p := range segment {
		if p.name == "" {
			escaped.WriteString(p.text)
			plain.WriteString(p.text)
			continue
		}
		last = p.name
		text, ok := PlainText(v[p.name])
		if !ok || text == "" {
			return "", &ValueError{p.name, "must be given: a string that is not empty, a number or a boolean"}
		}
		if strings.ContainsAny(text, `/\`) || escapeForm.MatchString(text) || strings.ContainsFunc(text, control) {
			return "", &ValueError{p.name, `must not hold /, \, control characters, or % before two hexadecimal digits`}
		}
		escaped.WriteString(escape(text))
		plain.WriteString(text)
	}
	// Some servers take what comes behind a semicolon off before they clean paths.
	if whole, _, _ := strings.Cut(plain.String(), ";"); whole == "." || whole == ".." {
		return "", &ValueError{last, "must not make . or .. of a part of the path"}
	}
	if plain.Len() > maxSegment {
		return "", &ValueError{last, fmt.Sprintf("makes a part of the path longer than %d bytes", maxSegment)}
	}
	return escaped.String(), nil
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// escape leaves nothing but unreserved characters (RFC 3986, 2.3) as they are.
func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// PlainText returns a string, a number or a boolean as text; ok is false for
// whatever else.
func PlainText(v jsontext.Value) (text string, ok bool) {
	switch v.Kind() {
	case '"':
		b, err := jsontext.AppendUnquote(nil, v)
		return string(b), err == nil
	case '0', 't', 'f':
		return string(v), true
	default:
		return "", false
	}
}
