package bridge_test

import (
	"testing"

	"sallyport/bridge"
	"sallyport/domain"
)

func TestRequestAndAnswerCross(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	id := field.submit(t)
	out := field.export(t, "core")
	if len(out) != 1 || out[0].Events == 0 {
		t.Fatalf("exported %+v", out)
	}
	if again := field.export(t, "core"); len(again) != 0 {
		t.Fatalf("withheld events alone made a bundle due: %+v", again)
	}
	carry(t, field, core, out[0].File)
	if got := core.receive(t); len(got) != 1 || got[0].State != bridge.Applied {
		t.Fatalf("imported %+v", got)
	}
	core.append(t, domain.ResponseStream(id), domain.ResponseFailed{Code: "timeout", Error: "it took too long", Attempts: 1})
	back := core.export(t, "field")
	if len(back) != 1 {
		t.Fatalf("exported %+v", back)
	}
	carry(t, core, field, back[0].File)
	if got := field.receive(t); len(got) != 1 || got[0].State != bridge.Applied {
		t.Fatalf("imported %+v", got)
	}
	records, err := field.site.Store.ReadStream(t.Context(), domain.ResponseStream(id))
	if err != nil || len(records) != 1 || records[0].Origin != "core" {
		t.Fatalf("mirrored %+v, %v", records, err)
	}
	carry(t, core, field, back[0].File)
	if got := field.receive(t); len(got) != 1 || got[0].State != bridge.Duplicate {
		t.Fatalf("imported again %+v", got)
	}
	status, err := field.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status[0].AckedThrough != out[0].Through {
		t.Errorf("acked through %d, want %d: %+v", status[0].AckedThrough, out[0].Through, status[0])
	}
}
