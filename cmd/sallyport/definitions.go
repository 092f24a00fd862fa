package main

import (
	"fmt"
	"io"

	strict "github.com/go-json-experiment/json"

	"sallyport/domain"
	"sallyport/internal/commands"
)

// maxDefinition bounds a file that defines something, in bytes.
const maxDefinition = 1 << 20

// readDefinition reads one JSON object strictly: a misspelt field is an error.
func readDefinition(path string, into any) error {
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() > maxDefinition {
		return &usageError{fmt.Errorf("%s is longer than %d bytes; nothing was stored", path, maxDefinition)}
	}
	if err := strict.UnmarshalRead(io.LimitReader(f, maxDefinition), into, strict.RejectUnknownMembers(true)); err != nil {
		return &usageError{fmt.Errorf("%s: %w; nothing was stored: correct the file", path, err)}
	}
	return nil
}

func by() commands.By { return commands.By{Actor: actor()} }

// told says what became of a definition. Seq is 0 when it was so already.
func (p *program) told(what, done string, stored commands.Stored) {
	if stored.Seq == 0 {
		p.say("%s is so already; nothing was stored", what)
		return
	}
	p.say("%s is %s", what, done)
}

func unknown(what, name, list string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "unknown-" + what,
		Detail: fmt.Sprintf("there is no %s named %q: see `sallyport %s`; nothing was stored", what, name, list)}
}
