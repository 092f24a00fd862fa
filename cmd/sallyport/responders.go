package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/tryout"
	"sallyport/projections"
)

func (p *program) requestTypeResponder() *cobra.Command {
	c := &cobra.Command{
		Use: "responder NAME FILE", Short: "Say how a request type is answered (response site)", Args: cobra.ExactArgs(2),
		Long: `Say how a request type is answered, by a JSON file: kind, source, timeout_ms, and what
the kind asks for:

  sql            a source of responders.sources in sallyport.yaml, and statement
  elasticsearch  one of responders.searches, and search: the indices that may be
                 read and the body, a template of a search
  http           one of responders.services, and call: path, query, method, headers,
                 body, and what of the answer is the result
  manual         no source; task may say what an analyst is to do: instructions,
                 result_schema (a JSON Schema), claim_minutes. See sallyport work

It is tried at its source, without running it, before it is recorded. It never leaves
this site.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.ResponderConfigured
			if err := readDefinition(args[1], &in); err != nil {
				return err
			}
			return p.withAnswers(cmd, func(s *boot.Site) error {
				if err := s.Tryout.Check(cmd.Context(), args[0], in); is[*domain.Error](err) {
					return err
				} else if err != nil {
					return fmt.Errorf("%w; nothing was stored", err)
				}
				now, stored, err := s.Commands.ConfigureResponder(cmd.Context(), by(), args[0], in, 0)
				if err == nil {
					p.told(args[0], "answered by "+now.Description(), stored)
				}
				return err
			})
		},
	}
	c.AddCommand(p.responderShow(), p.responderDisable())
	return c
}

// withAnswers is withSite for what only a response site has.
func (p *program) withAnswers(cmd *cobra.Command, do func(*boot.Site) error) error {
	return p.withSite(cmd.Context(), func(s *boot.Site) error {
		if s.Config.Role != domain.ResponseSite {
			return commands.WrongSite(domain.ResponseSite, "requests are answered")
		}
		return do(s)
	})
}

func (p *program) responderShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show how a request type is answered, in the form that responder takes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withAnswers(cmd, func(s *boot.Site) error {
				now, err := s.Reader.ResponderConfig(cmd.Context(), args[0])
				if errors.Is(err, projections.ErrNotFound) {
					return &domain.Error{Kind: domain.NotFound, Code: "no-responder",
						Detail: fmt.Sprintf("nothing is configured to answer %q: say how by `sallyport requesttype responder %s FILE`", args[0], args[0])}
				}
				if err != nil {
					return err
				}
				text, err := json.MarshalIndent(now.ResponderConfigured, "", "  ")
				if err != nil {
					return err
				}
				return p.print(now.ResponderConfigured, func(w io.Writer) { fmt.Fprintf(w, "%s\n", text) })
			})
		},
	}
}

func (p *program) responderDisable() *cobra.Command {
	c := &cobra.Command{Use: "disable NAME", Short: "Let nothing answer a request type any more (response site)",
		Long: "Let nothing answer a request type any more: what is asked by it fails until it is configured again."}
	return p.acting(c, "", "answered by nothing any more", func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error) {
		return s.Commands.DisableResponder(ctx, by(), name, 0)
	})
}

// tried is what a request would be answered.
type tried struct {
	Status     domain.Status        `json:"status"`
	Result     json.RawMessage      `json:"result"`
	Count      int                  `json:"result_count"`
	TookMS     int64                `json:"took_ms"`
	Truncated  bool                 `json:"truncated"`
	Responder  domain.ResponderKind `json:"responder"`
	MaxResults int                  `json:"max_results"`
	Code       string               `json:"code,omitempty"`
	Detail     string               `json:"detail,omitempty"`
	Cause      string               `json:"cause,omitempty"`
}

func (t tried) table(w io.Writer) {
	if t.Status == domain.StatusFailed {
		fmt.Fprintf(w, "failed\t%s\ntold\t%s\ncause\t%s\n", t.Code, t.Detail, orDash(t.Cause))
		return
	}
	fmt.Fprintf(w, "answered\t%d results in %d ms\ntruncated\t%v\nresult\t%s\n", t.Count, t.TookMS, t.Truncated, t.Result)
}

func (p *program) requestTypeTry() *cobra.Command {
	var user, params, definition, responder string
	c := &cobra.Command{
		Use: "try NAME", Short: "See what a request would be answered; nothing is recorded but that you did (response site)", Args: cobra.ExactArgs(1),
		Long: `Ask the source once what a request would be answered, within the same limits. Nothing
is recorded but that you did. A definition or a responder that is not recorded yet may
stand for what is. A failure tells its cause, which those who ask are not told, and
ends with exit code 1.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := questionOf(args[0], params, definition, responder)
			if err != nil {
				return err
			}
			return p.withAnswers(cmd, func(s *boot.Site) error {
				target := args[0]
				if user != "" {
					u, err := userNamed(cmd.Context(), s, user)
					if err != nil {
						return err
					}
					q.User, target = u.ID, target+" as "+domain.UserStream(u.ID)
				}
				if _, err := s.Commands.Acted(cmd.Context(), by(), "requesttype.try", target, commands.Client{}); err != nil {
					return err
				}
				got, err := s.Tryout.Ask(cmd.Context(), q)
				if err != nil {
					return err
				}
				shown := tried{Status: domain.StatusAnswered, Result: got.Answer.Result, Count: got.Answer.Count, TookMS: got.Took.Milliseconds(),
					Truncated: got.Answer.Truncated, Responder: got.Responder, MaxResults: got.MaxResults}
				if f := got.Failure; f != nil {
					shown.Status, shown.Code, shown.Detail = domain.StatusFailed, f.Code, f.Text
					if f.Cause != nil {
						shown.Cause = f.Cause.Error()
					}
				}
				if err := p.print(shown, shown.table); err != nil || got.Failure == nil {
					return err
				}
				return fmt.Errorf("%s would fail: %w", args[0], got.Failure)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&user, "as", "", "whose rights and limits count (default: those of the type alone)")
	f.StringVar(&params, "params", "", "the parameters, a JSON object (default: the first example of the schema)")
	f.StringVar(&definition, "definition", "", "a file that stands for the request type")
	f.StringVar(&responder, "responder", "", "a file that stands for how it is answered")
	return c
}

func questionOf(name, params, definition, responder string) (tryout.Question, error) {
	q := tryout.Question{Type: name}
	if params != "" {
		q.Params = json.RawMessage(params)
	}
	if definition != "" {
		var in domain.RequestTypeDefined
		if err := readDefinition(definition, &in); err != nil {
			return q, err
		}
		in.Name = name
		draft, err := commands.Draft(in.Command())
		if err != nil {
			return q, err
		}
		q.Draft = &draft
	}
	if responder != "" {
		q.Responder = &domain.ResponderConfigured{}
		return q, readDefinition(responder, q.Responder)
	}
	return q, nil
}
