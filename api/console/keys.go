package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"sallyport/domain"
)

// apiKey is one key of whoever is signed in.
type apiKey struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Prefix  string   `json:"prefix"`
	Scopes  []string `json:"scopes"`
	Created string   `json:"created_at"`
	Expires *string  `json:"expires_at"`
	Used    *string  `json:"last_used_at"`
	Key     string   `json:"key"` // only when it was issued
}

// keysPage is a list of keys, with the form for another one.
type keysPage struct {
	list[apiKey]
	pagingLinks
	Name   string
	Chosen []string // scopes
	Scopes []domain.Scope
	Days   int   // 0: for good
	Offers []int // of Days
	Issued *apiKey
}

// Has reports whether a scope was chosen.
func (k keysPage) Has(s domain.Scope) bool { return slices.Contains(k.Chosen, string(s)) }

func (v *visit) keysPage() (keysPage, error) {
	k := keysPage{Scopes: v.user.Role.Scopes(), Offers: []int{7, 30, 90, 365, 0}, Days: 90}
	path := "/api-keys?limit=50"
	if cursor := v.r.URL.Query().Get("cursor"); cursor != "" {
		path += "&cursor=" + queryEscape(cursor)
	}
	err := v.get(path, &k.list)
	k.pagingLinks = v.paging("keys", nil, k.Next)
	return k, err
}

func showKeys(v *visit) error {
	k, err := v.keysPage()
	if err != nil {
		return err
	}
	return v.show(k)
}

// newKey is what POST /api-keys takes.
type newKey struct {
	Name    string            `json:"name"`
	Scopes  []string          `json:"scopes"`
	Expires *domain.Timestamp `json:"expires_at"`
}

// issueKey shows the key in its answer and nowhere else, so that it is in no
// address and no cookie.
func issueKey(v *visit) error {
	in := newKey{Name: v.form("name"), Scopes: append([]string{}, v.r.PostForm["scopes"]...)}
	days, err := strconv.Atoi(v.form("days"))
	if err == nil && days > 0 {
		at := domain.Timestamp(v.console.Now().UTC().Add(time.Duration(days) * 24 * time.Hour))
		in.Expires = &at
	}
	issued := &apiKey{}
	_, wrong := v.send(http.MethodPost, "/api-keys", in, issued, nil)
	k, err := v.keysPage()
	if err != nil {
		return err
	}
	if wrong != nil {
		k.Name, k.Chosen, k.Days = in.Name, in.Scopes, days
		return v.again(k, wrong)
	}
	k.Issued = issued
	return v.show(k)
}

func revokeKey(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/api-keys/"+v.part("id"), nil, nil, nil); err != nil {
		return err
	}
	return v.done("keys", "key-revoked")
}
