package domain

import "encoding/json"

// RequestTypeDefined begins a request type, or brings a retired one back.
type RequestTypeDefined struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     int             `json:"version"`
	Parameters  json.RawMessage `json:"parameters"` // JSON Schema, draft 2020-12
	MaxResults  int             `json:"max_results"`
	Public      bool            `json:"public"`
}

// RequestTypeChanged says all of a request type anew. Its version is one more
// than the one before: a version names one definition for ever, because
// requests say which one they were asked by.
type RequestTypeChanged RequestTypeDefined

// RequestTypeRetired ends a request type: nobody may ask by it any more. What
// was asked before is still answered.
type RequestTypeRetired struct{}

// EventType implements [Fact].
func (RequestTypeDefined) EventType() string { return "requesttype.defined" }

// EventType implements [Fact].
func (RequestTypeChanged) EventType() string { return "requesttype.changed" }

// EventType implements [Fact].
func (RequestTypeRetired) EventType() string { return "requesttype.retired" }

// RequestType is the state that the rules about request types need. The zero
// value is a type that does not exist yet.
type RequestType struct {
	last    *RequestTypeDefined // nil: it never existed
	retired bool
}

// Exists reports whether one may ask by the type.
func (t RequestType) Exists() bool { return t.last != nil && !t.retired }

// Definition returns what was said of the type last, also if it was retired
// since; zero if it never existed.
func (t RequestType) Definition() RequestTypeDefined {
	if t.last == nil {
		return RequestTypeDefined{}
	}
	return *t.last
}

// RequestTypeCommand is what may be asked of a request type:
// [DefineRequestType], [ChangeRequestType], [RetireRequestType] and
// [BringBackRequestType].
type RequestTypeCommand interface {
	decide(t RequestType) ([]Fact, error)
}

// Decide returns the facts that a command leads to. No facts mean that the
// type is as the command wants it already.
func (t RequestType) Decide(c RequestTypeCommand) ([]Fact, error) { return c.decide(t) }

// DefineRequestType asks for a new request type, or for a retired one as it is
// described here. The version becomes 1, or one more than the last.
type DefineRequestType struct {
	Name        string
	Title       string
	Description string
	Parameters  json.RawMessage
	MaxResults  int // 0: the bound
	Public      bool
	// Version is the one that a new type is expected to have; 0: whichever it gets.
	Version int
	// SchemaError says why Parameters is no usable JSON Schema, as the library
	// that compiled it found; nil when it is one.
	SchemaError error
	// Examples is how many objects the schema's own `examples` hold, each of them
	// valid, as the library found. A request type says how to ask by it; those of
	// before this rule stay as they are until they are changed.
	Examples int
}

func (c DefineRequestType) decide(t RequestType) ([]Fact, error) {
	if t.Exists() {
		return nil, refuse(Conflict, "request-type-exists", "a request type named %s exists already: change it, or choose another name; nothing was stored", c.Name)
	}
	d, err := c.definition(t.Definition().Version + 1)
	if err != nil {
		return nil, err
	}
	return []Fact{d}, nil
}

// Command asks for a type as it is described here.
func (d RequestTypeDefined) Command() DefineRequestType {
	return DefineRequestType{Name: d.Name, Title: d.Title, Description: d.Description, Parameters: d.Parameters,
		MaxResults: d.MaxResults, Public: d.Public, Version: d.Version}
}

// ChangeRequestType asks that a request type be all as it is described here.
// Its Version is the one that was seen by whoever asks; 0: whichever it is.
type ChangeRequestType DefineRequestType

func (c ChangeRequestType) decide(t RequestType) ([]Fact, error) {
	if !t.Exists() {
		return nil, refuseRequestType(c.Name)
	}
	if c.Version != 0 && c.Version != t.last.Version {
		return nil, refuse(Conflict, "changed-meanwhile",
			"the request type %s has version %d by now, and this change was made to version %d: look again; nothing was stored", c.Name, t.last.Version, c.Version)
	}
	c.Version = 0 // the next one is another
	d, err := DefineRequestType(c).definition(t.last.Version + 1)
	if err != nil {
		return nil, err
	}
	if d.says(*t.last) {
		return nil, nil
	}
	return []Fact{RequestTypeChanged(d)}, nil
}

// RetireRequestType asks that nobody may ask by the type any more.
type RetireRequestType struct{ Name string }

func (c RetireRequestType) decide(t RequestType) ([]Fact, error) {
	if !t.Exists() {
		return nil, refuseRequestType(c.Name)
	}
	return []Fact{RequestTypeRetired{}}, nil
}

// BringBackRequestType asks for a retired request type as it was. Its version
// is one more all the same: each event that describes a type has its own.
type BringBackRequestType struct{ Name string }

func (c BringBackRequestType) decide(t RequestType) ([]Fact, error) {
	switch {
	case t.last == nil:
		return nil, refuseRequestType(c.Name)
	case !t.retired:
		return nil, nil
	}
	d := *t.last
	d.Version++
	return []Fact{d}, nil
}

func refuseRequestType(name string) error {
	return refuse(NotFound, "unknown-request-type", "there is no request type named %q, or it was retired; nothing was stored", name)
}

// definition is what the command describes, filled in and checked.
func (c DefineRequestType) definition(version int) (RequestTypeDefined, error) {
	if c.MaxResults == 0 {
		c.MaxResults = MaxResultsBound
	}
	var f fieldErrors
	f.require(ValidSlug(c.Name), "/name", FieldName, "must be 2 to 64 of a-z 0-9 - and begin and end with a letter or digit")
	f.text("/title", c.Title, 1, 100)
	f.text("/description", c.Description, 0, 1000)
	f.require(c.SchemaError == nil, "/parameters", FieldSchema, "is no usable JSON Schema: %v", c.SchemaError)
	f.require(c.SchemaError != nil || c.Examples > 0, "/parameters/examples", FieldExamples, "must hold at least one object that the schema accepts: it shows how to ask")
	f.within("/max_results", c.MaxResults, 1, MaxResultsBound)
	f.require(c.Version == 0 || version == 0 || c.Version == version, "/version", FieldUnwanted, "will be %d: leave it out", version)
	return RequestTypeDefined{Name: c.Name, Title: c.Title, Description: c.Description, Version: version,
		Parameters: c.Parameters, MaxResults: c.MaxResults, Public: c.Public}, f.err("request-type")
}

// Draft is the definition that the command would lead to, for trying it out
// before it is stored. It has no version yet.
func (c DefineRequestType) Draft() (RequestTypeDefined, error) { return c.definition(0) }

// says reports whether two definitions differ in nothing but their versions.
func (d RequestTypeDefined) says(other RequestTypeDefined) bool {
	return d.Name == other.Name && d.Title == other.Title && d.Description == other.Description &&
		string(d.Parameters) == string(other.Parameters) && d.MaxResults == other.MaxResults && d.Public == other.Public
}

// Apply returns the state after a fact.
func (t RequestType) Apply(f Fact) RequestType {
	switch f := f.(type) {
	case RequestTypeDefined:
		t.last, t.retired = &f, false
	case RequestTypeChanged:
		t.last, t.retired = new(RequestTypeDefined(f)), false
	case RequestTypeRetired:
		t.retired = true
	}
	return t
}
