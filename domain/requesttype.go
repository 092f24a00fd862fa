package domain

import "encoding/json"

// RequestTypeDefined begins a request type, or says all of it anew.
type RequestTypeDefined struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     int             `json:"version"`
	Parameters  json.RawMessage `json:"parameters"` // JSON Schema, draft 2020-12
	MaxResults  int             `json:"max_results"`
	Public      bool            `json:"public"`
}

// EventType implements [Fact].
func (RequestTypeDefined) EventType() string { return "requesttype.defined" }

// RequestType is the state that the rules about request types need. The zero
// value is a type that does not exist yet.
type RequestType struct {
	exists bool
}

// DefineRequestType asks for a new request type. Its version becomes 1.
type DefineRequestType struct {
	Name        string
	Title       string
	Description string
	Parameters  json.RawMessage
	MaxResults  int // 0: the bound
	Public      bool
	// SchemaError says why Parameters is no usable JSON Schema, as the library
	// that compiled it found; nil when it is one.
	SchemaError error
}

// Decide returns the facts that defining a request type leads to.
func (t RequestType) Decide(c DefineRequestType) ([]Fact, error) {
	if t.exists {
		return nil, refuse(Conflict, "request-type-exists", "a request type named %s exists already", c.Name)
	}
	if c.MaxResults == 0 {
		c.MaxResults = MaxResultsBound
	}
	var f fieldErrors
	f.require(ValidSlug(c.Name), "/name", "must be 2 to 64 of a-z 0-9 - and begin and end with a letter or digit")
	f.text("/title", c.Title, 1, 100)
	f.text("/description", c.Description, 0, 1000)
	f.require(c.SchemaError == nil, "/parameters", "is no usable JSON Schema: %v", c.SchemaError)
	f.require(c.MaxResults > 0 && c.MaxResults <= MaxResultsBound, "/max_results", "must be 1 to %d", MaxResultsBound)
	if err := f.err("request-type"); err != nil {
		return nil, err
	}
	return []Fact{RequestTypeDefined{Name: c.Name, Title: c.Title, Description: c.Description, Version: 1,
		Parameters: c.Parameters, MaxResults: c.MaxResults, Public: c.Public}}, nil
}

// Apply returns the state after a fact.
func (t RequestType) Apply(f Fact) RequestType {
	if _, ok := f.(RequestTypeDefined); ok {
		t.exists = true
	}
	return t
}
