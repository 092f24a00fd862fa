package resultcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport/responders"
)

// keyOf returns what equal questions have in common and no others. salt is what
// decides on answers beside the question. All members of a question count: one
// that is added to it later too.
func keyOf(salt string, q responders.Question) (string, error) {
	params := jsontext.Value(q.Params).Clone()
	if err := params.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false),
		jsontext.AllowDuplicateNames(false)); err != nil {
		return "", fmt.Errorf("make parameters canonical: %w", err)
	}
	q.Params = json.RawMessage(params)
	text, err := json.Marshal(struct {
		Form     int
		Salt     string
		Question responders.Question
	}{1, salt, q})
	if err != nil {
		return "", fmt.Errorf("make a question's key: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
