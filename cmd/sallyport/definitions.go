package main

import (
	"encoding/json"
	"fmt"
	"io"

	strict "github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
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

func (p *program) requestTypeCommand() *cobra.Command {
	c := &cobra.Command{Use: "requesttype", Short: "Define what may be asked and how it is answered (response site)"}
	c.AddCommand(p.requestTypeCreate(), p.requestTypeResponder(), p.requestTypeList())
	return c
}

func (p *program) requestTypeCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: "Define a request type", Args: cobra.ExactArgs(1),
		Long: `Define the request type that a JSON file describes: name, title, description,
parameters (a JSON Schema, draft 2020-12), max_results, public.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in struct {
				Name        string          `json:"name"`
				Title       string          `json:"title"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
				MaxResults  int             `json:"max_results"`
				Public      bool            `json:"public"`
			}
			if err := readDefinition(args[0], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				_, err := s.Commands.DefineRequestType(cmd.Context(), by(), domain.DefineRequestType{Name: in.Name, Title: in.Title,
					Description: in.Description, Parameters: in.Parameters, MaxResults: in.MaxResults, Public: in.Public})
				if err != nil {
					return err
				}
				p.say("the request type %s is defined; say how it is answered: sallyport requesttype responder %s FILE", in.Name, in.Name)
				return nil
			})
		},
	}
}

func (p *program) requestTypeResponder() *cobra.Command {
	return &cobra.Command{
		Use: "responder NAME FILE", Short: "Say how a request type is answered", Args: cobra.ExactArgs(2),
		Long: `Say how a request type is answered, by a JSON file: kind, source, timeout_ms, and what
the kind asks for:

  sql            a source of responders.sources in sallyport.yaml, and statement
  elasticsearch  one of responders.searches, and search: the indices that may be
                 read and the body, a template of a search
  http           one of responders.services, and call: path, query, method, headers,
                 body, and what of the answer is the result

It is tried at its source, without running it, before it is recorded.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.ResponderConfigured
			if err := readDefinition(args[1], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if err := s.CheckResponder(cmd.Context(), args[0], in); is[*domain.Error](err) {
					return err
				} else if err != nil {
					return fmt.Errorf("%w; nothing was stored", err)
				}
				if _, err := s.Commands.ConfigureResponder(cmd.Context(), by(), args[0], in); err != nil {
					return err
				}
				p.say("%s is answered from the source %s", args[0], in.Source)
				return nil
			})
		},
	}
}

func (p *program) requestTypeList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the request types", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := s.Directory.RequestTypes(cmd.Context())
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "NAME\tVERSION\tPUBLIC\tMAX RESULTS\tTITLE")
					for _, t := range all {
						fmt.Fprintf(w, "%s\t%d\t%v\t%d\t%s\n", t.Name, t.Version, t.Public, t.MaxResults, t.Title)
					}
				})
			})
		},
	}
}
