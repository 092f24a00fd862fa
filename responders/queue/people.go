package queue

import (
	"context"

	"sallyport/domain"
	"sallyport/eventstore"
)

// people is what lies with the analysts of one request.
type people struct {
	work    domain.Work
	version eventstore.Version // of the work's stream
}

// withPeople reads what lies with them. The version is taken from the newest
// event: a site that came back from a backup may lack some.
func withPeople(ctx context.Context, log *eventstore.Store, request string) (people, error) {
	var p people
	records, err := log.ReadStream(ctx, domain.WorkStream(request))
	for _, e := range records {
		p.work, p.version = p.work.Apply(e.Fact), eventstore.Version(e.Ver)
	}
	return p, err
}

// handedOver reports whether an event says that people see to the request, or
// saw to it once.
func handedOver(e eventstore.Record) bool {
	f, begun := e.Fact.(domain.ResponseStarted)
	return begun && f.Responder == domain.ResponderManual
}

// follow returns what follows for the work from an outcome, or from the wish to
// hand it over; nothing from anything else.
func (p people) follow(outcome domain.Fact) ([]domain.Fact, error) {
	if o, open := outcome.(domain.WorkOpened); open {
		return p.work.Decide(o)
	}
	switch s := domain.AnswerStatus(outcome); s {
	case domain.StatusAnswered, domain.StatusFailed, domain.StatusWithdrawn:
		return p.work.Decide(domain.EndWork{Outcome: s})
	}
	return nil, nil
}

func (p people) write(request string, facts []domain.Fact) eventstore.Write {
	return eventstore.Write{Stream: domain.WorkStream(request), Expected: p.version, Facts: facts}
}

// handOver puts a request before the analysts. Its job is done with that: what
// they record is the outcome. What lies with them already stays as it is.
func (r *record) handOver(ctx context.Context, c Case) error {
	question, err := domain.Question(c.Request.Type, c.Request.Params)
	if err != nil {
		return err
	}
	r.begin(domain.ResponseStarted{Responder: domain.ResponderManual, Worker: r.worker.id})
	return r.finish(ctx, domain.WorkOpened{RequestType: c.Request.Type, TypeVersion: c.Request.TypeVersion,
		Priority: c.Request.Priority, Question: question, Task: *c.Config.Task})
}
