package boot

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"sallyport/domain"
	"sallyport/responders/searchresponder"
)

// Search is one Elasticsearch or OpenSearch of the elasticsearch responder. Its
// login should have no right but to read.
type Search struct {
	// Nodes are addresses such as https://search-1.example:9200; one that does not
	// answer is followed by the next.
	Nodes []string `koanf:"nodes" yaml:"nodes,omitempty"`
	// CAFile holds, in PEM, what the nodes' certificates are signed by; empty: the
	// system's own.
	CAFile string `koanf:"ca_file" yaml:"ca_file,omitempty"`
	// APIKey is one as the engine gives it out, encoded.
	APIKey     string `koanf:"api_key" yaml:"api_key,omitempty"`
	APIKeyFile string `koanf:"api_key_file" yaml:"api_key_file,omitempty"`
	// Username and Password log in where there is no API key.
	Username     string `koanf:"username" yaml:"username,omitempty"`
	Password     string `koanf:"password" yaml:"password,omitempty"`
	PasswordFile string `koanf:"password_file" yaml:"password_file,omitempty"`
}

// source is the search as the responder knows it, without its certificates.
func (s Search) source(secret func(value, file string) (string, error)) (searchresponder.Source, error) {
	key, err := secret(s.APIKey, s.APIKeyFile)
	if err != nil {
		return searchresponder.Source{}, err
	}
	password, err := secret(s.Password, s.PasswordFile)
	return searchresponder.Source{Nodes: s.Nodes, APIKey: key, Username: s.Username, Password: password}, err
}

func (r Responders) checkSearches() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.Searches)) {
		key, s := "responders.searches."+name, r.Searches[name]
		hasKey, hasPassword := s.APIKey != "" || s.APIKeyFile != "", s.Password != "" || s.PasswordFile != ""
		unread, _ := s.source(func(value, file string) (string, error) { return value + file, nil })
		errs = append(errs,
			rule(domain.ValidSlug(name), key+": the name must be 2 to 64 of a-z 0-9 -"),
			one(key+".api_key", s.APIKey, s.APIKeyFile), one(key+".password", s.Password, s.PasswordFile),
			rule(!hasKey || s.Username == "" && !hasPassword, key+": give api_key or username and password, not both"),
			rule((s.Username != "") == hasPassword, key+": username and password go together"))
		if err := unread.Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// searches prepares the engines that the elasticsearch responder may search.
func (s *Site) searches() (*searchresponder.Responder, error) {
	sources := map[string]searchresponder.Source{}
	for name, search := range s.Config.Responders.Searches {
		source, err := search.source(secret)
		if err != nil {
			return nil, err
		}
		if search.CAFile != "" {
			if source.CA, err = os.ReadFile(search.CAFile); err != nil {
				return nil, fmt.Errorf("responders.searches.%s.ca_file: %w; nothing was changed", name, err)
			}
		}
		sources[name] = source
	}
	return searchresponder.Open(searchresponder.Config{Sources: sources, MaxConns: s.Config.Responders.mostAtOnce(domain.ResponderElasticsearch)})
}
