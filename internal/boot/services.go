package boot

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"sallyport/domain"
	"sallyport/internal/reach"
	"sallyport/responders/httpresponder"
)

// Service is one internal service of the http responder. Its login must not be
// able to write.
type Service struct {
	// URL is such as https://orders.internal:8443/api.
	URL string `koanf:"url" yaml:"url"`
	// CAFile holds the certificates, in PEM, that alone vouch for the service;
	// empty: those of the machine do.
	CAFile string `koanf:"ca_file" yaml:"ca_file,omitempty"`
	// Allow are networks, such as 10.1.0.0/16, in which the service may be though
	// they are not public; empty: none.
	Allow []string `koanf:"allow" yaml:"allow,omitempty"`
	// HeaderFiles give the headers of every call, such as Authorization, each by
	// the file that holds its value.
	HeaderFiles map[string]string `koanf:"header_files" yaml:"header_files,omitempty"`
}

func (r Responders) checkServices() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		key, service := "responders.services."+name, r.Services[name]
		allow, wrong := networks(key+".allow", service.Allow)
		_, url := httpresponder.ParseURL(service.URL, reach.NewGuard(allow), len(service.HeaderFiles) > 0)
		if url != nil {
			url = fmt.Errorf("%s.%w", key, url)
		}
		errs = append(errs, rule(domain.ValidSlug(name), key+": the name must be 2 to 64 of a-z 0-9 -"), url, wrong)
		for _, header := range slices.Sorted(maps.Keys(service.HeaderFiles)) {
			errs = append(errs, rule(service.HeaderFiles[header] != "", key+".header_files."+header+": must name the file that holds its value"))
		}
	}
	return errors.Join(errs...)
}

// services opens what the http responder may call.
func (s *Site) services() (*httpresponder.Responder, error) {
	all := map[string]httpresponder.Service{}
	for name, c := range s.Config.Responders.Services {
		service := httpresponder.Service{URL: c.URL, Headers: map[string]string{}}
		var err error
		if service.Allow, err = networks("responders.services."+name+".allow", c.Allow); err != nil {
			return nil, err
		}
		for header, file := range c.HeaderFiles {
			if service.Headers[header], err = secret("", file); err != nil {
				return nil, err
			}
		}
		if c.CAFile != "" {
			if service.CA, err = os.ReadFile(c.CAFile); err != nil {
				return nil, &SecretError{err}
			}
		}
		all[name] = service
	}
	return httpresponder.Open(all)
}
