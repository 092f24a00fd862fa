package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"
)

// checkOutput refuses a way of printing that there is not.
func (p *program) checkOutput() error {
	if p.output != "table" && p.output != "json" && p.output != "jsonl" {
		return &usageError{fmt.Errorf("-o %s is not known: use table, json or jsonl", p.output)}
	}
	return nil
}

// print writes a result to stdout: JSON, one JSON value a line, or as table
// writes it for people.
func (p *program) print(v any, table func(io.Writer)) error {
	switch p.output {
	case "json":
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s\n", b)
		return err
	case "jsonl":
		return p.printLines(v)
	default:
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
}

// printLines writes the elements of a list on a line each, anything else on one.
func (p *program) printLines(v any) error {
	enc := json.NewEncoder(p.stdout)
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return enc.Encode(v)
	}
	for i := range list.Len() {
		if err := enc.Encode(list.Index(i).Interface()); err != nil {
			return err
		}
	}
	return nil
}

// say tells a person about progress, on stderr.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, format+"\n", args...)
}
