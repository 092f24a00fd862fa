package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed messages/*.json
var messageFiles embed.FS

// languageNames are the languages, the first one for who asks for none of them.
var languageNames = []string{"en", "fa"}

// language is what the console says in one language.
type language struct {
	Lang, Dir string
	messages  map[string]string
	digits    string // ten of them; empty: those of ASCII
}

func loadLanguages() (map[string]*language, error) {
	all := map[string]*language{}
	for _, name := range languageNames {
		l := &language{Lang: name, Dir: "ltr", messages: map[string]string{}}
		if err := l.load(); err != nil {
			return nil, fmt.Errorf("the messages of %s: %w", name, err)
		}
		if name == "fa" {
			l.Dir, l.digits = "rtl", "۰۱۲۳۴۵۶۷۸۹"
		}
		all[name] = l
	}
	return all, nil
}

// load reads the language's files: LANG.json and those of single areas,
// LANG-AREA.json. Each message is in one of them.
func (l *language) load() error {
	files, err := fs.Glob(messageFiles, "messages/"+l.Lang+"*.json")
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := messageFiles.ReadFile(name)
		if err != nil {
			return err
		}
		var some map[string]string
		if err := json.Unmarshal(text, &some); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for key, message := range some {
			if l.Has(key) {
				return fmt.Errorf("%s has %s, which another file has too", name, key)
			}
			l.messages[key] = message
		}
	}
	return nil
}

// Has reports whether there is a message of this key.
func (l *language) Has(key string) bool { _, ok := l.messages[key]; return ok }

// T is a message with its placeholders filled in: T("key", "name", value, …) puts
// value where the message has {name}. Texts are data of users: they are escaped
// and kept apart from the message's direction. A key without a message is shown
// as it is, and fails a test. What a message has between backticks is to be
// typed: it is shown as code.
func (l *language) T(key string, args ...any) template.HTML {
	message, ok := l.messages[key]
	if !ok {
		return template.HTML(html.EscapeString(key)) //nolint:gosec // escaped
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(args[i])+"}", string(l.shown(args[i+1])))
	}
	return template.HTML(strings.NewReplacer(pairs...).Replace(toType.ReplaceAllString(html.EscapeString(message), `<code dir="ltr">$1</code>`))) //nolint:gosec // both are escaped
}

var toType = regexp.MustCompile("`([^`]+)`")

func (l *language) shown(value any) template.HTML {
	switch x := pointed(value).(type) {
	case template.HTML:
		return x
	case int, int64, float64:
		return template.HTML(l.Number(x)) //nolint:gosec // digits
	}
	return "<bdi>" + template.HTML(html.EscapeString(fmt.Sprint(pointed(value)))) + "</bdi>" //nolint:gosec // escaped
}

// pointed is what a pointer points to; nil if to nothing.
func pointed(value any) any {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Pointer {
		return value
	}
	if v.IsNil() {
		return nil
	}
	return v.Elem().Interface()
}

// Number is a number as the language writes it, in groups of three.
func (l *language) Number(value any) string {
	var text string
	switch x := pointed(value).(type) {
	case int:
		text = grouped(strconv.Itoa(x))
	case int64:
		text = grouped(strconv.FormatInt(x, 10))
	case float64:
		text = strconv.FormatFloat(x, 'f', -1, 64)
	default:
		text = fmt.Sprint(x)
	}
	return l.figures(text)
}

// Size is a number of bytes for people, in decimal units.
func (l *language) Size(bytes int64) template.HTML {
	value, unit := float64(bytes), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, larger
	}
	text := strconv.FormatFloat(value, 'f', 1, 64)
	text = strings.TrimSuffix(text, ".0")
	return template.HTML(`<span dir="ltr">` + l.figures(text) + " " + unit + `</span>`) //nolint:gosec // digits
}

// bound is a number as JSON has it; empty: none.
func (l *language) bound(n json.Number) template.HTML {
	if whole, err := n.Int64(); err == nil {
		return template.HTML(l.Number(whole)) //nolint:gosec // digits
	}
	return template.HTML(html.EscapeString(l.figures(n.String()))) //nolint:gosec // escaped
}

// figures writes digits as the language does, a sign on their left.
func (l *language) figures(text string) string {
	if l.digits == "" {
		return text
	}
	if strings.HasPrefix(text, "-") {
		text = leftToRight + text
	}
	own := []rune(l.digits)
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return own[r-'0']
		}
		switch r {
		case ',':
			return '٬'
		case '.':
			return '٫'
		}
		return r
	}, text)
}

// leftToRight is a mark that turns what stands after it.
const leftToRight = "\u200e"

func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return sign + strings.Join(parts, ",")
}

// keys are all messages of the language, sorted.
func (l *language) keys() []string { return slices.Sorted(maps.Keys(l.messages)) }
