package console

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"

	"sallyport/domain"
)

func languagesOf(t *testing.T) map[string]*language {
	t.Helper()
	all, err := loadLanguages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// Each language says the same, with the same placeholders.
func TestLanguagesSayTheSame(t *testing.T) {
	t.Parallel()
	all := languagesOf(t)
	english := all["en"]
	for name, other := range all {
		if !slices.Equal(english.keys(), other.keys()) {
			t.Errorf("%s has other messages than en", name)
		}
		for key, message := range other.messages {
			if strings.TrimSpace(message) == "" {
				t.Errorf("%s: %s is empty", name, key)
			}
			want, got := placeholder.FindAllString(english.messages[key], -1), placeholder.FindAllString(message, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: %s has the placeholders %v, en has %v", name, key, got, want)
			}
		}
	}
}

// closed are the lists that templates make keys of.
func closed() map[string][]string {
	keys, areasOf := []string{}, []string{}
	for _, p := range pages() {
		keys = append(keys, p.key)
	}
	for _, a := range areas() {
		areasOf = append(areasOf, string(a))
	}
	both := []string{string(domain.RequestSite), string(domain.ResponseSite)}
	lists := map[string][]string{
		"area.%s": areasOf, "elsewhere.%s": both, "home.lead.%s": both, "sign-in.lead.%s": both, "site.%s": both,
		"role.%s":   {"user", "analyst", "operator", "auditor", "admin"},
		"status.%s": statuses, "status.%s.next": statuses,
		"window.%s": {"minute", "hour", "day", "month"}, "limit.%s": {"OK", "WARNING", "SOFT_BLOCK", "EXCEEDED"},
		"scope.%s":     {"requests:read", "requests:write", "admin", "audit"},
		"direction.%s": {"out", "in"}, "bundle.%s": {"out", "in"},
		"page.%s.title": keys, "page.%s.lead": keys,
	}
	maps.Copy(lists, closedOfAdministrators)
	maps.Copy(lists, closedOfOperators())
	return lists
}

// closedOfAdministrators are those of administrators' pages.
var closedOfAdministrators = map[string][]string{
	"per.%s": windowNames, "limit-of.%s": windowNames, "rule.%s": ruleNames, "from.%s": {"user", "profile", "default"},
	"call-site.%s": {"both", "request", "response"}, "kind.%s": kinds, "kind.%s.what": kinds,
	"dashboard.lead.%s": {"request", "response"}, "dashboard.times.%s": {"request", "response"},
	"span.%s": {"hour", "day", "month"}, "trouble.%s": troubleKeys, "trouble.%s.next": troubleKeys,
	"job.%s": jobStates, "lasting.%s": lastingNames(), "check.%s": checkNames, "check.%s.next": checkNames, "health.%s": siteStates, "health.chip.%s": siteStates,
}

func lastingNames() (names []string) {
	for _, u := range lastingUnits {
		names = append(names, u.name)
	}
	return names
}

// troubleKeys are the problems that a dashboard can show.
var troubleKeys = []string{"health", "stopped", "missing", "quarantine", "poison", "discarded", "work", "cache"}

// free are formats whose values are whole keys in templates or in the code, each
// of which has a message that another test or the table holds.
var free = map[string]string{"event.%s": "event.", "bundle-state.%s": "bundle-state.", "note.%s": "note.", "problem.%s": "problem.", "refused.%s": "refused.", "failure.%s": "failure.", "schedule.did.%s": "schedule.did.", "problem.%s.next": "problem.", "%s.next": "", "field.%s": "field.", "schedule.job.%s": "schedule.job."}

// Whatever the API finds wrong with a field is said in words of the console's own.
func TestMessagesOfFields(t *testing.T) {
	t.Parallel()
	for name, l := range languagesOf(t) {
		p := (&problem{}).in(l)
		for _, code := range domain.FieldCodes() {
			if !l.Has("wrong." + code) {
				t.Errorf("%s has no message wrong.%s", name, code)
			}
			said := string(p.Says(fieldError{Code: code, Detail: "a < b", Least: "1000", Most: "2500"}))
			if strings.ContainsAny(said, "{}") || strings.Contains(said, "a < b") {
				t.Errorf("%s says of %s: %s", name, code, said)
			}
		}
		if said := p.Says(fieldError{Code: "of-tomorrow", Detail: "a < b"}); said != `<bdi lang="en">a &lt; b</bdi>` {
			t.Errorf("%s says of a code it does not know: %s", name, said)
		}
	}
	if said := (&problem{}).in(languagesOf(t)["fa"]).Says(fieldError{Code: domain.FieldRange, Least: "0.5", Most: "2500"}); said != "باید از ۰٫۵ تا ۲٬۵۰۰ باشد" {
		t.Errorf("a range in Persian: %s", said)
	}
}

// Each key that a template uses has a message.
func TestMessagesOfTemplates(t *testing.T) {
	t.Parallel()
	english := languagesOf(t)["en"]
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := loadTemplates(english, a)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for key := range pages {
		set, err := pages.page(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range set.Templates() {
			if one.Tree != nil {
				keysIn(one.Tree.Root, used)
			}
		}
	}
	lists := closed()
	for key := range used {
		values, isList := lists[key]
		_, isFree := free[key]
		switch {
		case isFree:
		case isList:
			for _, v := range values {
				if whole := strings.ReplaceAll(key, "%s", v); !english.Has(whole) && whole != "page.home.lead" && whole != "page.sign-in.lead" && !detail(v) {
					t.Errorf("no message %s", whole)
				}
			}
		case !english.Has(key):
			t.Errorf("no message %s", key)
		}
	}
	if len(used) < 50 {
		t.Errorf("only %d keys were found", len(used))
	}
}

// detail reports whether a page has a heading of its own.
func detail(key string) bool { return slices.Contains(ownHeadings, key) }

// ownHeadings are pages whose heading is what they show, so that no message is.
var ownHeadings = []string{"ask-type", "request", "answer", "answer-json", "answer-file", "link", "bundle", "bundle-file", "refused", "event", "stream", "evidence", "task", "audit-export"}

// keysIn finds what t, title and empty are called with.
func keysIn(node parse.Node, into map[string]bool) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				keysIn(c, into)
			}
		}
	case *parse.ActionNode:
		keysIn(n.Pipe, into)
	case *parse.IfNode:
		keysIn(n.Pipe, into)
		keysIn(n.List, into)
		keysIn(n.ElseList, into)
	case *parse.RangeNode:
		keysIn(n.Pipe, into)
		keysIn(n.List, into)
		keysIn(n.ElseList, into)
	case *parse.WithNode:
		keysIn(n.Pipe, into)
		keysIn(n.List, into)
		keysIn(n.ElseList, into)
	case *parse.TemplateNode:
		keysIn(n.Pipe, into)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				keysIn(c, into)
			}
		}
	case *parse.CommandNode:
		called(n, into)
		for _, a := range n.Args {
			keysIn(a, into)
		}
	}
}

// called notes the key of one call.
func called(n *parse.CommandNode, into map[string]bool) {
	name, ok := n.Args[0].(*parse.IdentifierNode)
	if !ok || len(n.Args) < 2 {
		return
	}
	text, isText := n.Args[1].(*parse.StringNode)
	switch {
	case name.Ident == "t" && isText:
		into[text.Text] = true
	case name.Ident == "t":
		if inner, ok := n.Args[1].(*parse.PipeNode); ok && len(inner.Cmds[0].Args) > 1 {
			if format, ok := inner.Cmds[0].Args[1].(*parse.StringNode); ok {
				into[format.Text] = true
			}
		}
	case name.Ident == "title" && isText:
		into["page."+text.Text+".title"] = true
	case name.Ident == "dict" && isText && text.Text == "key" && len(n.Args) > 2:
		if key, ok := n.Args[2].(*parse.StringNode); ok {
			into[key.Text], into[key.Text+".next"] = true, true
		}
	}
}

// Each problem that the console itself has is said in words.
func TestMessagesOfProblems(t *testing.T) {
	t.Parallel()
	english := languagesOf(t)["en"]
	for _, p := range []*problem{errTooLarge, errNoPage, errOtherSite, errOtherRole, errForm, errNoFile, errFileTooLarge, errNoStream, errPage, {Key: "json"}, {Key: "credentials"}, {Key: "repeated"}} {
		if !english.Has("problem."+p.Key) || !english.Has("problem."+p.Key+".next") {
			t.Errorf("no message problem.%s or problem.%s.next", p.Key, p.Key)
		}
	}
}

// What users wrote stays text, whatever the message and the direction.
func TestMessagesEscape(t *testing.T) {
	t.Parallel()
	l := &language{messages: map[string]string{"k": "Hello <you>, {name} has {n}: `<ls>`"}, digits: "۰۱۲۳۴۵۶۷۸۹"}
	got := string(l.T("k", "name", "<script>{n}", "n", 1234567))
	if want := "Hello &lt;you&gt;, <bdi>&lt;script&gt;{n}</bdi> has ۱٬۲۳۴٬۵۶۷: <code dir=\"ltr\">&lt;ls&gt;</code>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := l.Number(-1234), "\u200e-۱٬۲۳۴"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&language{}).Number(int64(-1234)); got != "-1,234" {
		t.Error(got)
	}
	if got := slices.Sorted(maps.Keys(closed())); len(got) < 5 {
		t.Error(got)
	}
}
