package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsOverAtOnceSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := (&program{stderr: &out}).late("verifying", 100)
		l.add(50)
		time.Sleep(lateAfter - 1)
		l.add(50)
		l.finish()
		if out.Len() > 0 {
			t.Errorf("said %q", &out)
		}
	})
}

func TestWhatTakesLongerTellsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := (&program{stderr: &out}).late("verifying", 100)
		l.add(30)
		time.Sleep(lateAfter)
		l.add(10)
		time.Sleep(lateAfter)
		l.add(20)
		l.finish()
		for _, want := range []string{`"verifying"`, `"done_bytes":60`, `"total_bytes":100`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in %q", want, &out)
			}
		}
	})
}
