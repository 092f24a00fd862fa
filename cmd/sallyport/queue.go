package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/periodic"
	"sallyport/projections"
	"sallyport/responders/queue"
)

func (p *program) queueCommand() *cobra.Command {
	c := &cobra.Command{Use: "queue", Short: "See to the work that waits or is under way",
		Long: `On a response site the queue answers requests, on a request site it tells webhooks.
On both it does once a day what the site does by itself: clean-bundles, clean-requests.`}
	c.AddCommand(p.queueList(),
		p.queueDecide("retry", `Have something done again, or now: a request by its id, a job by its number, a
periodic job by its name. What failed is answered once more, what waits is due now.`, "%s is due now"),
		p.queueDecide("cancel", `End a request, by its id, or a job, by its number. The one who asked is told that the
request was ended, and why, unless there is an outcome already.`, "%s was ended"))
	return c
}

// queuedJob is a job as the command line shows it.
type queuedJob struct {
	ID        int64             `json:"id"`
	Kind      string            `json:"kind"`
	Job       string            `json:"job,omitempty"` // of a periodic one
	Request   string            `json:"request_id,omitempty"`
	Status    domain.Status     `json:"request_status,omitempty"`
	Type      string            `json:"type,omitempty"`
	User      string            `json:"user_id,omitempty"`
	Priority  int               `json:"priority,omitempty"`
	State     string            `json:"state"`
	Attempt   int               `json:"attempt"`
	NextAt    *domain.Timestamp `json:"next_attempt_at"`
	Enqueued  domain.Timestamp  `json:"enqueued_at"`
	LastError string            `json:"last_error,omitempty"`
}

type queueListing struct {
	Jobs     []queuedJob       `json:"jobs"`
	Counts   []queue.Count     `json:"counts"`
	Periodic []periodic.Status `json:"periodic"`
	Leader   *periodic.Leader  `json:"leader"`
}

func (p *program) queueList() *cobra.Command {
	f := projections.JobFilter{Page: projections.Page{Limit: projections.MaxLimit}}
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs that are not done, the newest first, and the periodic ones", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if err := viewed(cmd.Context(), s, spoken(cmd)); err != nil {
					return err
				}
				out, more, err := listJobs(cmd.Context(), s, f)
				if err != nil {
					return err
				}
				if more {
					p.say("only the newest %d are listed", projections.MaxLimit)
				}
				if p.output == "jsonl" {
					return p.print(out.Jobs, nil)
				}
				return p.print(out, func(w io.Writer) { printQueue(w, out) })
			})
		},
	}
	cmd.Flags().StringVar(&f.State, "state", "", "only jobs in this state: available, scheduled, running, retryable, completed, cancelled, discarded")
	cmd.Flags().StringVar(&f.Type, "type", "", "only jobs of this request type")
	return cmd
}

func listJobs(ctx context.Context, s *boot.Site, f projections.JobFilter) (out queueListing, more bool, err error) {
	found, next, err := s.Reader.Jobs(ctx, f)
	if err != nil {
		return out, false, err
	}
	out.Jobs = make([]queuedJob, len(found))
	for i, j := range found {
		out.Jobs[i] = queuedJob{ID: j.ID, Kind: j.Kind, Job: j.Subject, Request: j.Request, Status: j.Status, Type: j.Type, User: j.User,
			Priority: j.Priority, State: j.State, Attempt: j.Attempt, Enqueued: domain.Timestamp(j.CreatedAt), LastError: j.Error}
		if !j.NextAt.IsZero() {
			at := domain.Timestamp(j.NextAt)
			out.Jobs[i].NextAt = &at
		}
	}
	if out.Counts, err = queue.Counts(ctx, s.Pool); err != nil {
		return out, false, err
	}
	out.Periodic, out.Leader, err = periodic.List(ctx, s.Pool)
	return out, next != "", err
}

func printQueue(w io.Writer, out queueListing) {
	fmt.Fprintln(w, "ID\tKIND\tABOUT\tSTATE\tATTEMPT\tNEXT\tERROR")
	for _, j := range out.Jobs {
		about := strings.TrimSpace(j.Job + " " + j.Type + " " + j.Request)
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", j.ID, j.Kind, orDash(about), j.State, j.Attempt, orNever(j.NextAt), orDash(j.LastError))
	}
	fmt.Fprintln(w, "\nPERIODIC\tNEXT\tLAST\tRESULT")
	for _, s := range out.Periodic {
		result := s.Result
		if s.Failed {
			result = "failed: " + result
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Job, stamp(s.NextAt), orNever(s.BeganAt), orDash(result))
	}
	if out.Leader == nil {
		fmt.Fprintln(w, "\nnobody leads: no process of this site works")
		return
	}
	fmt.Fprintf(w, "\n%s leads since %s\n", out.Leader.ID, stamp(out.Leader.Since))
}

func orNever(t *domain.Timestamp) string {
	if t == nil {
		return "-"
	}
	return time.Time(*t).Format(time.RFC3339)
}

func (p *program) queueDecide(use, long, said string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use + " ID", Short: strings.SplitN(long, ":", 2)[0], Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				about, err := decideJob(cmd.Context(), s, use, strings.ToLower(args[0]), reason)
				if err != nil {
					return err
				}
				p.say(said, about)
				return p.print(map[string]string{"done": use, "about": about}, func(w io.Writer) { fmt.Fprintf(w, "%s\t%s\n", use, about) })
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a line for the log; the one who asked is told it")
	return cmd
}

// decideJob does what a person decided about what an argument names, and says
// what that was.
func decideJob(ctx context.Context, s *boot.Site, use, id, reason string) (about string, err error) {
	_, named := periodic.Find(id)
	request := ""
	number, notNumber := strconv.ParseInt(id, 10, 64)
	switch {
	case named && use == "retry":
		about = id
	case len(id) == 36 && uuid.Validate(id) == nil:
		request, about = id, "request "+id
	case notNumber == nil && number > 0:
		if request, err = s.Queue.RequestOf(ctx, number); err != nil {
			return "", unknownFile(err)
		}
		if about = "job " + id; request != "" {
			about = "request " + request
		}
	default:
		return "", &usageError{errors.New("ID is a request's id, the number of a job that `queue list` shows, or, for retry, a periodic job's name; nothing was changed")}
	}
	if request != "" && s.Config.Role != domain.ResponseSite {
		return "", commands.WrongSite(domain.ResponseSite, "requests are answered, and their queue is seen to,")
	}
	if _, err := s.Commands.Acted(ctx, commands.By{Actor: actor()}, "queue."+use, about, commands.Client{}); err != nil {
		return "", err
	}
	d := queue.Decision{Actor: actor(), Reason: reason}
	switch {
	case named:
		err = periodic.Ask(ctx, s.Pool, id)
	case request != "" && use == "retry":
		err = s.Queue.RetryAnswer(ctx, request, d)
	case request != "":
		err = s.Queue.CancelAnswer(ctx, request, d)
	case use == "retry":
		err = s.Queue.RetryJob(ctx, number)
	default:
		err = s.Queue.CancelJob(ctx, number)
	}
	return about, unknownFile(err)
}
