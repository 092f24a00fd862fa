package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/projections"
	"sallyport/responders/manual"
	"sallyport/schema"
)

func (p *program) workCommand() *cobra.Command {
	c := &cobra.Command{Use: "work", Short: "See to the requests that people answer (response site)",
		Long: `See to the requests that people answer. ID is the request's. Who works here answers
in the name of the login on this machine; analysts with an account use the API.`}
	c.AddCommand(p.workList(), p.workShow(), p.workClaim(), p.workRelease(), p.workAnswer(), p.workFail())
	return c
}

// workItem is work as the command line shows it.
type workItem struct {
	ID           string                `json:"id"`
	Type         string                `json:"type"`
	State        projections.WorkState `json:"state"`
	Priority     int                   `json:"priority"`
	UserID       string                `json:"user_id"`
	Origin       string                `json:"origin"`
	AskedAt      domain.Timestamp      `json:"asked_at"`
	ClaimedBy    string                `json:"claimed_by,omitempty"`
	ClaimedUntil *domain.Timestamp     `json:"claimed_until,omitempty"`
	Outcome      domain.Status         `json:"outcome,omitempty"`
	ClosedBy     string                `json:"closed_by,omitempty"`
}

func itemOf(w projections.Work) workItem {
	out := workItem{ID: w.Request, Type: w.Type, State: w.State(time.Now()), Priority: w.Priority, UserID: w.User, Origin: w.Origin,
		AskedAt: domain.Timestamp(w.AskedAt), Outcome: w.Outcome, ClosedBy: w.ClosedBy}
	if out.State == projections.WorkIsClaimed {
		out.ClaimedBy, out.ClaimedUntil = w.Holder, (*domain.Timestamp)(&w.Until)
	}
	return out
}

func (p *program) workList() *cobra.Command {
	var f projections.WorkFilter
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits for people, the most urgent first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.State, f.Now, f.Limit = projections.WorkState(state), time.Now(), projections.MaxLimit
			switch f.State {
			case "", projections.WorkIsOpen, projections.WorkIsClaimed, projections.WorkIsClosed:
			default:
				return &usageError{fmt.Errorf("--state is open, claimed or closed, not %q", state)}
			}
			return p.withAnswers(cmd, func(s *boot.Site) error {
				if err := viewed(cmd.Context(), s, spoken(cmd)); err != nil {
					return err
				}
				found, next, err := s.Reader.Works(cmd.Context(), f)
				if err != nil {
					return err
				}
				if next != "" {
					p.say("only the first %d are listed", projections.MaxLimit)
				}
				items := make([]workItem, len(found))
				for i, w := range found {
					items[i] = itemOf(w)
				}
				return p.print(items, func(w io.Writer) { printWork(w, items) })
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only work in this state: open, claimed, closed; none: what is not closed")
	cmd.Flags().StringVar(&f.Type, "type", "", "only requests of this type")
	return cmd
}

func printWork(w io.Writer, items []workItem) {
	fmt.Fprintln(w, "ID\tTYPE\tPRIORITY\tASKED\tSTATE\tBY\tUNTIL")
	for _, i := range items {
		by, state := i.ClaimedBy, string(i.State)
		if i.Outcome != "" {
			by, state = i.ClosedBy, string(i.Outcome)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", i.ID, i.Type, i.Priority, stamp(i.AskedAt), state, orDash(by), orNever(i.ClaimedUntil))
	}
}

// workShown is all that there is to know about work.
type workShown struct {
	workItem
	Params       json.RawMessage `json:"params"`
	Instructions string          `json:"instructions"`
	ResultSchema json.RawMessage `json:"result_schema"`
	Earlier      []earlierAnswer `json:"earlier_answers"`
	Answer       json.RawMessage `json:"answer"`  // what it was answered with, or null
	Failure      *string         `json:"failure"` // why it failed, or null
}

type earlierAnswer struct {
	ID          string           `json:"id"`
	AnsweredAt  domain.Timestamp `json:"answered_at"`
	AnsweredBy  string           `json:"answered_by"`
	ContentType string           `json:"content_type"`
	Bytes       int64            `json:"bytes"`
	Result      json.RawMessage  `json:"result"` // null: it is too long to be shown here
}

func (p *program) workShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show what was asked, what to do, and earlier answers to the same question", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withAnswers(cmd, func(s *boot.Site) error {
				w, err := s.Reader.Work(cmd.Context(), strings.ToLower(args[0]))
				if errors.Is(err, projections.ErrNotFound) {
					return errNoWork
				}
				if err != nil {
					return err
				}
				if err := viewed(cmd.Context(), s, spoken(cmd)); err != nil {
					return err
				}
				earlier, err := s.Reader.EarlierAnswers(cmd.Context(), w)
				if err != nil {
					return err
				}
				out := workShown{workItem: itemOf(w), Params: w.Params, Instructions: w.Task.Instructions, ResultSchema: w.Task.ResultSchema, Earlier: []earlierAnswer{}}
				for _, a := range earlier {
					out.Earlier = append(out.Earlier, earlierAnswer{ID: a.Request, AnsweredAt: domain.Timestamp(a.AnsweredAt), AnsweredBy: a.AnsweredBy,
						ContentType: a.ContentType, Bytes: a.Bytes, Result: a.Result})
				}
				if err := out.addOutcome(cmd.Context(), s); err != nil {
					return err
				}
				return p.print(out, func(w io.Writer) { printShown(w, out) })
			})
		},
	}
}

// addOutcome adds how the work ended, if it did.
func (out *workShown) addOutcome(ctx context.Context, s *boot.Site) error {
	if out.Outcome != domain.StatusAnswered && out.Outcome != domain.StatusFailed {
		return nil
	}
	r, err := s.Reader.Response(ctx, out.ID)
	if err != nil {
		return err
	}
	if out.Outcome == domain.StatusAnswered {
		out.Answer = r.Result
	} else {
		out.Failure = &r.ErrorDetail
	}
	return nil
}

func printShown(w io.Writer, out workShown) {
	printWork(w, []workItem{out.workItem})
	fmt.Fprintf(w, "\nasked\t%s\n", out.Params)
	fmt.Fprintf(w, "to do\t%s\n", orDash(strings.ReplaceAll(out.Instructions, "\n", " ")))
	fmt.Fprintf(w, "answer fits\t%s\n", orDash(string(out.ResultSchema)))
	if out.Answer != nil {
		fmt.Fprintf(w, "answered\t%s\n", out.Answer)
	}
	if out.Failure != nil {
		fmt.Fprintf(w, "failed\t%s\n", *out.Failure)
	}
	for _, a := range out.Earlier {
		text := string(a.Result)
		if a.Result == nil {
			text = fmt.Sprintf("%s of %d bytes", a.ContentType, a.Bytes)
		}
		fmt.Fprintf(w, "answered before\t%s by %s: %s\n", stamp(a.AnsweredAt), a.AnsweredBy, text)
	}
}

var errNoWork = &usageError{errors.New("there is no work on a request of this id: see `sallyport work list`; nothing was stored")}

// doing is a command that does something about one piece of work.
func (p *program) doing(cmd *cobra.Command, said string, do func(s *boot.Site, by manual.Analyst, id string) (int64, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := strings.ToLower(args[0])
		if len(id) != 36 || uuid.Validate(id) != nil {
			return errNoWork
		}
		return p.withAnswers(cmd, func(s *boot.Site) error {
			if _, err := do(s, manual.Analyst{Actor: actor()}, id); err != nil {
				return unknownFile(err)
			}
			w, err := s.Reader.Work(cmd.Context(), id)
			if err != nil {
				return err
			}
			p.say(said, id)
			item := itemOf(w)
			return p.print(item, func(w io.Writer) { printWork(w, []workItem{item}) })
		})
	}
	return cmd
}

func (p *program) workClaim() *cobra.Command {
	cmd := &cobra.Command{Use: "claim ID", Short: "Claim work, or prolong your claim"}
	return p.doing(cmd, "%[1]s is yours; answer it: sallyport work answer %[1]s", func(s *boot.Site, by manual.Analyst, id string) (int64, error) {
		return s.Desk.Claim(cmd.Context(), by, id)
	})
}

func (p *program) workRelease() *cobra.Command {
	var reason string
	var others bool
	cmd := &cobra.Command{Use: "release ID", Short: "Hand work back, so that others can claim it"}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a line for the log")
	cmd.Flags().BoolVar(&others, "others", false, "also if somebody else has claimed it")
	return p.doing(cmd, "%s is open", func(s *boot.Site, by manual.Analyst, id string) (int64, error) {
		return s.Desk.Release(cmd.Context(), by, id, reason, others)
	})
}

func (p *program) workFail() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "fail ID --reason TEXT", Short: "Say that there will be no answer, and why"}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a line for the one who asked")
	return p.doing(cmd, "%s has failed", func(s *boot.Site, by manual.Analyst, id string) (int64, error) {
		return s.Desk.Fail(cmd.Context(), by, id, reason)
	})
}

func (p *program) workAnswer() *cobra.Command {
	var text, file, media string
	cmd := &cobra.Command{Use: "answer ID --json TEXT|- | --file FILE", Short: "Answer a request that you have claimed",
		Long: `Answer a request that you have claimed: with JSON that fits the result schema, or with
a file of up to 8 MiB.`}
	cmd.Flags().StringVar(&text, "json", "", "the answer as JSON; -: from standard input")
	cmd.Flags().StringVar(&file, "file", "", "a file that is the answer")
	cmd.Flags().StringVar(&media, "content-type", "", "what the file is; none: by its name")
	cmd.MarkFlagsOneRequired("json", "file")
	cmd.MarkFlagsMutuallyExclusive("json", "file")
	return p.doing(cmd, "%s is answered", func(s *boot.Site, by manual.Analyst, id string) (int64, error) {
		in, err := readAnswer(cmd.InOrStdin(), text, file, media)
		if err != nil {
			return 0, err
		}
		return s.Desk.Answer(cmd.Context(), by, id, in)
	})
}

func readAnswer(stdin io.Reader, text, file, media string) (in manual.Answer, err error) {
	if file != "" {
		in.File, err = readAnswerFile(file, media)
		return in, err
	}
	in.Result = json.RawMessage(text)
	if text == "-" {
		in.Result, err = io.ReadAll(io.LimitReader(stdin, schema.MaxResult+1))
	}
	return in, err
}

func readAnswerFile(path, media string) (*domain.AnswerFile, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > domain.MaxAnswerFile {
		return nil, &usageError{fmt.Errorf("%s is larger than %d MiB; nothing was stored", path, domain.MaxAnswerFile>>20)}
	}
	data, err := io.ReadAll(io.LimitReader(f, domain.MaxAnswerFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; nothing was stored", path, err)
	}
	if media == "" {
		media = mime.TypeByExtension(filepath.Ext(path))
	}
	if media == "" {
		media = "application/octet-stream"
	}
	return &domain.AnswerFile{Name: filepath.Base(path), ContentType: media, Base64: base64.StdEncoding.EncodeToString(data)}, nil
}
