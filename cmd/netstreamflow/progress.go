package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// lineEvery is how often a line tells the progress where there is no terminal.
const lineEvery = 5 * time.Second

// progress shows how far something is: a bar on a terminal, lines elsewhere. One goroutine uses it.
type progress struct {
	w        io.Writer
	terminal bool
	bar      *progressbar.ProgressBar
	what     string
	at       time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, at: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// show is a [github.com/netstreamflow/netstreamflow.Progress].
func (p *progress) show(what string, done, total int64) {
	if !p.terminal {
		p.line(what, done, total)
		return
	}
	if p.bar == nil || what != p.what {
		p.end()
		p.bar, p.what = p.newBar(what, total), what
	}
	if total > 0 {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(done) // a terminal that is gone shows nothing
}

func (p *progress) newBar(what string, total int64) *progressbar.ProgressBar {
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionFullWidth())
}

func (p *progress) line(what string, done, total int64) {
	if time.Since(p.at) < lineEvery {
		return
	}
	p.at = time.Now()
	if total == 0 {
		_, _ = fmt.Fprintf(p.w, "%s: %d\n", what, done)
		return
	}
	_, _ = fmt.Fprintf(p.w, "%s: %d of %d (%d %%)\n", what, done, total, 100*done/total)
}

// end leaves the bar behind.
func (p *progress) end() {
	if p.bar != nil {
		_, _ = fmt.Fprintln(p.w)
		p.bar = nil
	}
}
