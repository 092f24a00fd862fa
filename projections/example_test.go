package projections_test

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/domain"
	"sallyport/projections"
)

func ExampleRenderResponse() {
	body, err := projections.RenderResponse(projections.Response{
		RequestID: "r1", Status: domain.StatusAnswered, Result: json.RawMessage(`[{"iata":"AMS"}]`), ResultCount: 1,
		TookMS: 3, Responder: domain.ResponderSQL, RecordedAt: time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)})
	fmt.Printf("%s%v\n", body.Bytes(), err)
	// Output:
	// {"request_id":"r1","status":"answered","result":[{"iata":"AMS"}],"result_count":1,"took_ms":3,"truncated":false,"responder":"sql","cached":false,"recorded_at":"2026-03-01T06:00:00.000000Z","error":null}
	// <nil>
}
