package projections_test

import (
	"encoding/json"
	"errors"
	"testing"

	"sallyport/domain"
	"sallyport/projections"
)

func TestRenderResponse(t *testing.T) {
	t.Parallel()
	answered := projections.Response{RequestID: id(1), Status: domain.StatusAnswered, Result: json.RawMessage(`[{"a":"<&>é"}]`),
		ResultCount: 1, TookMS: 7, Truncated: true, Responder: domain.ResponderSQL, ContentType: "application/json", RecordedAt: dawn}
	failed := projections.Response{RequestID: id(2), Status: domain.StatusFailed, Responder: domain.ResponderSQL,
		ErrorCode: "timeout", ErrorDetail: `said "stop"`, RecordedAt: dawn}
	for _, c := range []struct {
		name string
		from projections.Response
		want string
	}{
		{"answered", answered, `{"request_id":"` + id(1) + `","status":"answered","result":[{"a":"<&>é"}],"result_count":1,"took_ms":7,` +
			`"truncated":true,"responder":"sql","cached":false,"content_type":"application/json",` +
			`"recorded_at":"2026-03-01T06:00:00.123456Z","error":null}`},
		{"failed", failed, `{"request_id":"` + id(2) + `","status":"failed","result":null,"result_count":0,"took_ms":0,` +
			`"truncated":false,"responder":"sql","cached":false,` +
			`"recorded_at":"2026-03-01T06:00:00.123456Z","error":{"code":"timeout","detail":"said \"stop\""}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := projections.RenderResponse(c.from)
			if projections.MayChange(got.Bytes()) != (c.name == "failed") {
				t.Errorf("whether it may change: %v", projections.MayChange(got.Bytes()))
			}
			if err != nil || string(got.Bytes()) != c.want+"\n" || got.Len() != len(c.want)+1 {
				t.Errorf("got  %s (%v)\nwant %s", got.Bytes(), err, c.want)
			}
		})
	}
	for _, status := range []domain.Status{domain.StatusPending, domain.StatusProcessing} {
		if _, err := projections.RenderResponse(projections.Response{Status: status}); !errors.Is(err, projections.ErrUnfinished) {
			t.Errorf("rendering a response that is %s gives %v", status, err)
		}
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	if got := projections.ETag(42); got != `"42"` {
		t.Errorf("got %s", got)
	}
}
