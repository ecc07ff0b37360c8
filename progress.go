package netstreamflow

import "time"

// Progress is told now and then how much of something is done. Both numbers may grow; total is 0 while it is not known.
type Progress func(what string, done, total int64)

const progressEvery = 200 * time.Millisecond

// ticker calls a [Progress] that may be nil.
type ticker struct {
	*time.Ticker

	what     string
	progress Progress
}

func newTicker(what string, p Progress) ticker {
	return ticker{time.NewTicker(progressEvery), what, p}
}

func (t ticker) tell(done, total int64) {
	if t.progress != nil {
		t.progress(t.what, done, total)
	}
}

// now tells how much is done, of an unknown total, if it is time to.
func (t ticker) now(done int64) {
	select {
	case <-t.C:
		t.tell(done, 0)
	default:
	}
}
