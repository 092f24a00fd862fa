package console

import (
	"net/http"
	"slices"

	textlanguage "golang.org/x/text/language"
)

// choices are how somebody wants to see the console, kept in cookies.
type choices struct {
	Language string // one of languageNames
	Theme    string // auto, light, dark
	Times    string // utc, local
}

const (
	languageCookie = "sallyport-language"
	themeCookie    = "sallyport-theme"
	timesCookie    = "sallyport-times"
	yearInSeconds  = 365 * 24 * 60 * 60
)

// offered are the values of each choice; the first one is taken where none is
// made. Without a choice of language the browser's is taken.
func offered() map[string][]string {
	return map[string][]string{languageCookie: languageNames, themeCookie: {"auto", "light", "dark"}, timesCookie: {"utc", "local"}}
}

var browserLanguages = textlanguage.NewMatcher([]textlanguage.Tag{textlanguage.English, textlanguage.Persian})

func chosenBy(r *http.Request) choices {
	of := func(cookie, otherwise string) string {
		if c, err := r.Cookie(cookie); err == nil && slices.Contains(offered()[cookie], c.Value) {
			return c.Value
		}
		return otherwise
	}
	_, i := textlanguage.MatchStrings(browserLanguages, r.Header.Get("Accept-Language"))
	return choices{Language: of(languageCookie, languageNames[i]), Theme: of(themeCookie, "auto"), Times: of(timesCookie, "utc")}
}

// choose keeps what was chosen and returns to the page where it was.
func choose(v *visit) error {
	for cookie, values := range offered() {
		field := cookie[len("sallyport-"):]
		if value := v.form(field); slices.Contains(values, value) {
			http.SetCookie(v.w, &http.Cookie{Name: cookie, Value: value, Path: Root, MaxAge: yearInSeconds,
				Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
	}
	v.goTo(local(v.form("back")))
	return nil
}
