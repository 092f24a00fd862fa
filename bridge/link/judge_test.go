package link_test

import (
	"testing"

	"pgregory.net/rapid"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

const epoch, otherEpoch = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

// chainAt is the chain of a history at a position: histories differ from
// position from on, and agree before.
func chainAt(history byte, from, pos int64) bundle.Hash {
	if pos < from {
		history = 0
	}
	return bundle.Hash{history, byte(pos), byte(pos >> 8), 1}
}

func core(epoch string, after, through int64, history byte, from int64) bundle.Core {
	return bundle.Core{Span: bundle.Span{Epoch: epoch, Range: bundle.Range{After: after, Through: through},
		Chain: bundle.ChainEnds{After: chainAt(history, from, after), Through: chainAt(history, from, through)}}}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	in := link.Inbound{Epoch: epoch, Seq: 3, Through: 10, Chain: chainAt(0, 0, 10)}
	for _, c := range []struct {
		name string
		core bundle.Core
		want link.Verdict
	}{
		{"the next in order", core(epoch, 10, 15, 0, 0), link.Apply},
		{"of one position", core(epoch, 10, 11, 0, 0), link.Apply},
		{"reaching back into what is known", core(epoch, 4, 15, 0, 0), link.Apply},
		{"from the beginning and beyond", core(epoch, 0, 11, 0, 0), link.Apply},
		{"one position early", core(epoch, 11, 15, 0, 0), link.Hold},
		{"far ahead", core(epoch, 100, 150, 0, 0), link.Hold},
		{"the last one again", core(epoch, 5, 10, 0, 0), link.Duplicate},
		{"an old one again", core(epoch, 0, 5, 0, 0), link.Duplicate},
		{"one position, known", core(epoch, 9, 10, 0, 0), link.Duplicate},
		{"another history from here on", core(epoch, 10, 15, 1, 10), link.Fork},
		{"another history up to here", core(epoch, 5, 10, 1, 7), link.Fork},
		{"another history from the same start", core(epoch, 0, 10, 1, 1), link.Fork},
		{"another epoch, next in order", core(otherEpoch, 10, 15, 0, 0), link.Fork},
		{"another epoch, early", core(otherEpoch, 11, 15, 0, 0), link.Fork},
	} {
		if got := in.Judge(c.core); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	t.Parallel()
	for v, want := range map[link.Verdict]string{link.Apply: "apply", link.Hold: "held", link.Duplicate: "duplicate", link.Fork: "fork"} {
		if v.String() != want {
			t.Errorf("%d is called %q, want %q", v, v, want)
		}
	}
}

// model is a receiver that keeps every position it has: what Judge says with
// two numbers and a hash must be what this one sees.
func model(have map[int64]bundle.Hash, c bundle.Core) link.Verdict {
	known, isKnown := have[c.Range.After]
	end, endKnown := have[c.Range.Through]
	_, beyond := have[c.Range.After+1]
	switch {
	case !isKnown:
		return link.Hold
	case !beyond && known != c.Chain.After:
		return link.Fork
	case !endKnown:
		return link.Apply
	}
	if _, more := have[c.Range.Through+1]; !more && end != c.Chain.Through {
		return link.Fork
	}
	return link.Duplicate
}

func TestJudgeAgreesWithAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		through := rapid.Int64Range(0, 12).Draw(t, "through")
		have := map[int64]bundle.Hash{}
		for p := range through + 1 {
			have[p] = chainAt(0, 0, p)
		}
		in := link.Inbound{Epoch: epoch, Through: through, Chain: have[through]}
		after := rapid.Int64Range(0, 14).Draw(t, "after")
		to := rapid.Int64Range(after+1, 16).Draw(t, "to")
		c := core(epoch, after, to, byte(rapid.IntRange(0, 1).Draw(t, "history")), rapid.Int64Range(1, 16).Draw(t, "differs from"))
		if got, want := in.Judge(c), model(have, c); got != want {
			t.Fatalf("known through %d, bundle (%d, %d]: %v, want %v", through, after, to, got, want)
		}
	})
}

// An honest sender's bundles, cut anywhere and in any order with doubles, end
// with all applied, none twice, and no fork.
func TestAnyOrderEndsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var cores []bundle.Core
		at := int64(0)
		for range rapid.IntRange(1, 8).Draw(t, "bundles") {
			next := at + rapid.Int64Range(1, 5).Draw(t, "size")
			cores = append(cores, core(epoch, at, next, 0, 0))
			at = next
		}
		arriving := rapid.Permutation(append(append([]bundle.Core{}, cores...), cores...)).Draw(t, "order")
		in := link.Inbound{Epoch: epoch, Chain: chainAt(0, 0, 0)}
		var waiting []bundle.Core
		applied := 0
		for _, c := range arriving {
			waiting = append(waiting, c)
			for i := 0; i < len(waiting); i++ {
				switch in.Judge(waiting[i]) {
				case link.Apply:
					in.Through, in.Chain = waiting[i].Range.Through, waiting[i].Chain.Through
					applied++
					i = -1
				case link.Fork:
					t.Fatalf("an honest bundle is called a fork: %+v", waiting[i].Range)
				default:
				}
			}
		}
		if in.Through != at || applied != len(cores) {
			t.Fatalf("applied %d bundles through %d, want %d through %d", applied, in.Through, len(cores), at)
		}
	})
}
