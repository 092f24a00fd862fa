package httpresponder

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/domain"
	"sallyport/responders"
)

// Check looks at a configuration before it is recorded, without calling the
// service: templates that can be read, with no parameters but those of names (the
// properties of the request type's schema). It returns a
// [*responders.ConfigError], or a [*responders.Failure].
func (r *Responder) Check(_ context.Context, config domain.ResponderConfigured, names []string) error {
	if _, ok := r.services[config.Source]; !ok {
		return errUnknownSource.By(nil)
	}
	c, err := compile(config.Call)
	if err != nil {
		return &responders.ConfigError{Detail: err.Error()}
	}
	for _, n := range c.names() {
		if !slices.Contains(names, n) {
			return &responders.ConfigError{Detail: fmt.Sprintf("call: uses a parameter %q that the schema does not have; it has: %s", n, strings.Join(names, ", "))}
		}
	}
	return nil
}
