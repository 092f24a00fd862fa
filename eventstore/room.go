package eventstore

import (
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
)

// pgx writes the parameters of a statement one behind the other into a buffer
// that begins small and grows by a quarter: a group's would be copied a dozen
// times. The first column of a large statement therefore asks for the room of
// all of them:
//
//	Pool ─▶ makeRoom: the codecs of arrays ask ─▶ roomy, how much
//
// A connection that another made has not heard of it, and encodes the same.

// Roomy is a column, the first of its statement, whose parameters take so many
// bytes altogether.
func Roomy(first pgtype.ArrayGetter, bytes int) pgtype.ArrayGetter { return roomy{first, bytes} }

type roomy struct {
	pgtype.ArrayGetter
	bytes int
}

// makeRoom teaches a connection's codecs about roomy columns.
func makeRoom(m *pgtype.Map) {
	for _, oid := range []uint32{pgtype.Int8ArrayOID, pgtype.TextArrayOID} {
		if t, ok := m.TypeForOID(oid); ok {
			m.RegisterType(&pgtype.Type{Name: t.Name, OID: t.OID, Codec: roomyCodec{t.Codec}})
		}
	}
}

type roomyCodec struct{ pgtype.Codec }

func (c roomyCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	plan := c.Codec.PlanEncode(m, oid, format, value)
	if _, ok := value.(roomy); ok && plan != nil {
		return roomyPlan{plan}
	}
	return plan
}

type roomyPlan struct{ pgtype.EncodePlan }

func (p roomyPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.EncodePlan.Encode(value, slices.Grow(buf, value.(roomy).bytes))
}

// What the parameters of insertEvents take beside texts, in bytes: a row's
// numbers, its id and the lengths of its fields, and once the arrays' headings.
const (
	rowRoom    = 96
	arraysRoom = 320
)

// roomOf is how much the parameters of insertEvents take.
func roomOf(records []Record) int {
	room := arraysRoom
	for i := range records {
		r := &records[i]
		room += len(r.Stream) + len(r.Type) + len(r.Actor) + len(r.Corr) + len(r.Line) + rowRoom
	}
	return room
}
