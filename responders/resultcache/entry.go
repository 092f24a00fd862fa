package resultcache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sallyport/responders"
)

// MaxEntry is the size in bytes from which on an answer is not kept.
const MaxEntry = 10 << 20

// head is an answer without its result.
type head struct {
	Count       int    `json:"count"`
	Truncated   bool   `json:"truncated"`
	ContentType string `json:"content_type"`
}

var errForm = errors.New("a value of the result cache does not have its form")

// codec returns what writes and reads frames; both may be used at once.
var codec = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	d, err2 := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxEntry), zstd.WithDecoderConcurrency(0))
	if err = errors.Join(err, err2); err != nil {
		panic(err) // the options are constant
	}
	return e, d
})

// encode writes an answer; ok is false if it is too large.
func encode(a responders.Answer) (value []byte, ok bool) {
	line, err := json.Marshal(head{a.Count, a.Truncated, a.ContentType})
	if err != nil || len(line)+1+len(a.Result) > MaxEntry {
		return nil, false
	}
	e, _ := codec()
	value = e.EncodeAll(append(append(line, '\n'), a.Result...), nil)
	return value, len(value) <= MaxEntry
}

// decode reads what encode wrote.
func decode(value []byte) (responders.Answer, error) {
	_, d := codec()
	text, err := d.DecodeAll(value, nil)
	if err != nil {
		return responders.Answer{}, fmt.Errorf("%w: %w", errForm, err)
	}
	line, result, found := bytes.Cut(text, []byte{'\n'})
	var h head
	if err := json.Unmarshal(line, &h); err != nil || !found || !json.Valid(result) || h.Count < 0 || h.ContentType == "" {
		return responders.Answer{}, errForm
	}
	return responders.Answer{Result: result, Count: h.Count, Truncated: h.Truncated, ContentType: h.ContentType, Cached: true}, nil
}
