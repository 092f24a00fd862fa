package console

import "sallyport/domain"

// PageRow is a page as tests see the table.
type PageRow struct {
	Key, Path string
	Site      domain.Role
	Open      bool
	File      bool
	Acts      []string
	admits    func(domain.UserRole) bool
}

// Admits reports whether the page is for a role on a site.
func (p PageRow) Admits(site domain.Role, role domain.UserRole) bool {
	return (p.Site == "" || p.Site == site) && p.admits(role)
}

// AllPages is the table.
func AllPages() (all []PageRow) {
	for _, p := range pages() {
		shown := PageRow{Key: p.key, Path: p.path, Site: p.site, Open: p.open, File: p.file, admits: p.admits}
		for _, a := range p.acts {
			shown.Acts = append(shown.Acts, a.path)
		}
		all = append(all, shown)
	}
	return all
}
