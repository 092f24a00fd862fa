package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"sallyport/domain"
)

// page is one page: what it is called, whom it is for, what shows it and what
// its forms do.
type page struct {
	// key names the page's messages (page.KEY.…), its template (KEY.html) and its
	// pictures.
	key string
	// path is below [Root], as [http.ServeMux] takes it; empty: the front page.
	path string
	// site is where the page is; empty: on both.
	site domain.Role
	// roles are those that may see it; nil: all who are signed in.
	roles []domain.UserRole
	// open is for who is not signed in.
	open bool
	// file says that the page is a file to keep, which nobody looks at here.
	file bool
	// area is where navigation lists the page; empty: other pages lead to it.
	area area
	show func(*visit) error
	acts []act
	// body bounds what its forms send, in bytes; 0: [maxForm].
	body int64
}

// act is what a form of a page does: a POST that ends in a redirect, or in the
// page again with what is wrong.
type act struct {
	path string
	do   func(*visit) error
}

// area is a group of the navigation, and the key of its message: area.KEY.
type area string

const (
	areaAsk     area = "ask"     // what users do
	areaWork    area = "work"    // what analysts answer
	areaCross   area = "cross"   // what operators carry
	areaManage  area = "manage"  // what administrators decide
	areaRun     area = "run"     // how the site does
	areaAudit   area = "audit"   // what auditors look at
	areaAccount area = "account" // what is one's own
)

// areas is the order of the navigation.
func areas() []area {
	return []area{areaAsk, areaWork, areaRun, areaCross, areaManage, areaAudit, areaAccount}
}

// pages is the whole console. What a page's API calls are for decides its
// roles; the API holds to them, whatever is said here.
func pages() []page {
	return slices.Concat(entrance(), ofUsers(), ofAnalysts(), ofOperators(), ofAuditors(), ofAdministrators(), ofDefiners(), ofSite(), ofOneself())
}

// missing is shown where nothing is.
var missing = page{key: "missing", open: true, show: func(*visit) error { return errNoPage }}

func (p page) pattern() string {
	if p.path == "" {
		return Root + "{$}"
	}
	return Root + p.path
}

func (a act) pattern() string { return Root + a.path }

// url is the address of a page without parameters.
func (p page) url() string { return Root + p.path }

// listed reports whether navigation can lead to the page.
func (p page) listed() bool { return p.area != "" && !strings.Contains(p.path, "{") }

// admits reports whether the page is for a role, wherever it is.
func (p page) admits(role domain.UserRole) bool {
	return p.roles == nil || slices.Contains(p.roles, role)
}

func (p page) on(site domain.Role) bool { return p.site == "" || p.site == site }

// navigation is what one user is led to.
type navigation struct {
	Groups []navGroup
	// Elsewhere are pages that the user may see on the site of the other role.
	Elsewhere []navLink
}

type navGroup struct {
	Area  area
	Links []navLink
}

type navLink struct {
	Key, URL string
	Current  bool
}

// navigate lists what a role may see on a site.
func navigate(site domain.Role, role domain.UserRole, at *page) navigation {
	var n navigation
	for _, a := range areas() {
		g := navGroup{Area: a}
		for _, p := range pages() {
			if p.area != a || !p.listed() || !p.admits(role) {
				continue
			}
			link := navLink{Key: p.key, URL: p.url(), Current: p.key == at.key || at.area == "" && strings.HasPrefix(at.path, p.path+"/")}
			if p.on(site) {
				g.Links = append(g.Links, link)
			} else {
				n.Elsewhere = append(n.Elsewhere, link)
			}
		}
		if len(g.Links) > 0 {
			n.Groups = append(n.Groups, g)
		}
	}
	return n
}

// visited lets somebody visit a page who may, and shows what goes wrong.
func (k *Console) visited(p page, do func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := k.begin(w, r, &p)
		defer v.fallen() //nolint:contextcheck // a visit has that of its request
		v.body = cmp.Or(p.body, maxForm)
		err := v.enter() //nolint:contextcheck // as above
		if err == nil {
			v.lookFrom() //nolint:contextcheck // as above
			err = do(v)
		}
		if err != nil {
			v.fail(err) //nolint:contextcheck // as above
		}
	})
}
