package domain

import (
	"encoding/json"
	"fmt"
)

// withheldSecret stands where a secret was.
const withheldSecret = "withheld"

// Shown returns an event's data as people may see it, who may read everything
// but what helps to guess a password or a key: of a [Kind] that is Secret, that
// is left out. Which values were left out is told by JSON Pointers into the
// event; none mean that the data is what is stored, byte for byte.
func Shown(e Event) (data json.RawMessage, withheld []string, err error) {
	if !kinds[e.Type].Secret {
		return e.Data, nil, nil
	}
	fact, err := Decode(e)
	if err != nil {
		return nil, nil, err
	}
	switch f := fact.(type) {
	case UserRegistered:
		f.Credential.Hash = withheldSecret
		fact, withheld = f, []string{"/data/credential/hash"}
	case UserPasswordChanged:
		f.Credential.Hash = withheldSecret
		fact, withheld = f, []string{"/data/credential/hash"}
	case APIKeyIssued:
		f.Hash = withheldSecret
		fact, withheld = f, []string{"/data/hash"}
	default:
		return nil, nil, fmt.Errorf("%s holds a secret and nothing says where: it is not shown", e.Type)
	}
	data, err = EncodeAs(fact, e.Schema) // in the shape in which it is stored
	return data, withheld, err
}
