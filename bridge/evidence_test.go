package bridge_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/domain"
)

// Each site makes evidence of a request and its answer that the cards alone
// prove: of its own events to what the other acknowledged.
func TestEvidenceOfARequest(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	id := field.submit(t)
	field.append(t, domain.RequestNameStream("ann", "x"), domain.RequestNameClaimed{Request: "x"})
	if file, err := field.Evidence(t.Context(), id); err != nil {
		t.Errorf("before it crossed: %v", err)
	} else if r, err := evidence.Check(file, field.Card().Trust()); err != nil || len(r.Events) != 1 || r.Events[0].Proof != evidence.Signed {
		t.Errorf("before it crossed: %+v, %v", r.Events, err)
	}
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	core.append(t, domain.ResponseStream(id), domain.ResponseFailed{Code: "timeout", Error: "no answer", Attempts: 1})
	core.append(t, domain.EmailStream("e"), domain.EmailClaimed{User: "x"})
	carry(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Applied)
	field.submit(t)
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	cards := cardsOf(field, core)
	for _, c := range []struct {
		at   *end
		want string
	}{
		{field, "core response.failed attested field, field request.submitted witnessed core"},
		{core, "core response.failed witnessed field, field request.submitted attested core"},
	} {
		file, err := c.at.Evidence(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		ofLog := proofs(t, file, cards)
		if text := strings.Join(ofLog.shown(), ", "); text != c.want || len(ofLog.Crossings) != 2 || len(ofLog.Keys) != 2 {
			t.Errorf("%s shows %s, want %s; crossings %+v", c.at.Card().Name, text, c.want, ofLog.Crossings)
		}
		file, err = c.at.archivedEvidence(t, id, cards)
		if err != nil {
			t.Fatal(err)
		}
		if of := proofs(t, file, cards); !slices.Equal(of.shown(), ofLog.shown()) || len(of.Crossings) != 2 || len(of.Keys) != 2 {
			t.Errorf("of its archive, %s shows %s, want %s; crossings %+v", c.at.Card().Name, of.shown(), c.want, of.Crossings)
		}
		if bytes.Contains(file, []byte(hashOfEve)) || bytes.Contains(file, []byte("eve@example.org")) {
			t.Error("it shows what is not of the request")
		}
	}
	// A link that was removed takes nothing away of it.
	if err := field.Remove(t.Context(), "core", "it closes", "ops"); err != nil {
		t.Fatal(err)
	}
	file, err := field.Evidence(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if of := proofs(t, file, cards); strings.Join(of.shown(), ", ") != "core response.failed attested field, field request.submitted witnessed core" || len(of.Keys) != 2 {
		t.Errorf("with the link removed it shows %s, and the keys %v", of.shown(), of.Keys)
	}
	if _, err := field.Evidence(t.Context(), uuid.NewString()); !errors.Is(err, bridge.ErrNoEvidence) {
		t.Errorf("of a request that is not there: %v", err)
	}
	if _, err := field.archivedEvidence(t, uuid.NewString(), cards); !errors.Is(err, bridge.ErrNoEvidence) {
		t.Errorf("of a request that is not there: %v", err)
	}
	if _, err := field.archivedEvidence(t, id, field.Card().Trust()); bundle.CodeOf(err) != bundle.Untrusted || !strings.Contains(err.Error(), "give the card of core") {
		t.Errorf("without the card of who answered: %v", err)
	}
}

// archivedEvidence makes evidence of an archive of all that there is.
func (e *end) archivedEvidence(t *testing.T, request string, trust bundle.Trust) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	e.archiveInto(t, dir, e.seq(t), 4)
	a, err := archive.Open(folder(t, dir), trust)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := bridge.ReadSigner(filepath.Join(e.dir, "keys"), e.Card().Name)
	if err != nil {
		t.Fatal(err)
	}
	return bridge.ArchivedEvidence(t.Context(), a, request, signer, trust)
}

// A log that was founded anew has two chains. Whoever makes evidence, of the log
// or of an archive, shows each event in the chain of its own epoch.
func TestEvidenceOnBothSidesOfAFounding(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	early := field.submit(t)
	core.append(t, domain.UserStream(early), registered())
	comeToRest(t, field, core)
	core.append(t, domain.ResponseStream(early), domain.ResponseFailed{Code: "timeout", Error: "no answer", Attempts: 1})
	comeToRest(t, core, field)
	field, core = foundedAnew(t, field, core)

	late := field.submit(t)
	field.append(t, domain.RequestStream(early), domain.RequestCancelled{Reason: "too late"})
	comeToRest(t, field, core)
	core.append(t, domain.ResponseStream(late), domain.ResponseFailed{Code: "timeout", Error: "no answer", Attempts: 1})
	comeToRest(t, core, field)
	cards := cardsOf(field, core)
	for _, c := range []struct {
		at      *end
		request string
		want    string
		crossed int
	}{
		{field, early, "core response.failed, field request.cancelled, field request.submitted", 3},
		{core, early, "core response.failed, field request.cancelled, field request.submitted", 3},
		{field, late, "core response.failed, field request.submitted", 2},
		{core, late, "core response.failed, field request.submitted", 2},
	} {
		name := c.at.Card().Name
		file, err := c.at.Evidence(t.Context(), c.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ofLog := proofs(t, file, cards)
		if events, crossed := ofLog.events(), len(ofLog.Crossings); events != c.want || crossed != c.crossed {
			t.Errorf("%s shows %s, want %s; crossings %+v, want %d", name, events, c.want, ofLog.Crossings, c.crossed)
		}
		if file, err = c.at.archivedEvidence(t, c.request, cards); err != nil {
			t.Errorf("%s, of its archive: %v", name, err)
			continue
		}
		ofArchive := proofs(t, file, cards)
		if !slices.Equal(ofArchive.shown(), ofLog.shown()) || len(ofArchive.Crossings) != c.crossed {
			t.Errorf("of its archive, %s shows %s, want %s; crossings %+v", name, ofArchive.shown(), ofLog.shown(), ofArchive.Crossings)
		}
	}
}

// foundedAnew loses what field wrote last, brings it home and founds its log anew.
func foundedAnew(t *testing.T, field, core *end) (anew, peer *end) {
	t.Helper()
	backup := field.site.Backup(t)
	field.submitMany(t, 3, true)
	comeToRest(t, field, core)
	old := field.restore(t, backup)
	if why := old.checkRestored(t); why == "" {
		t.Fatal("it is not read-only")
	}
	giveBack(t, core, old, old.head(t).Pos)
	old.recover(t)
	anew = old.reopen(t)
	if err := core.Refounded(t.Context(), anew.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	return anew, core
}

// proved is what evidence shows.
type proved struct{ evidence.Result }

func proofs(t *testing.T, file []byte, trust bundle.Trust) proved {
	t.Helper()
	r, err := evidence.Check(file, trust)
	if err != nil {
		t.Fatal(err)
	}
	return proved{r}
}

// events are the origins and types, in order.
func (p proved) events() string {
	var all []string
	for _, e := range p.Events {
		all = append(all, e.Origin+" "+e.Type)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// shown are the same with how well each is shown, and by whom.
func (p proved) shown() []string {
	var all []string
	for _, e := range p.Events {
		all = append(all, fmt.Sprint(e.Origin, " ", e.Type, " ", e.Proof, " ", e.By))
	}
	slices.Sort(all)
	return all
}
