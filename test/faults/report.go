package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const row = "%-19s %-13s %6d sent %6d accepted %4d harms %6d 503s %3d other %3d lost %3d twice %3d reordered %7s gap %6s"

// line is the figures of a run.
func (r *run) line() string {
	sent, accepted := r.sent.count()
	f := r.findings
	other := r.answers.wrongs + len(r.faults) + len(f.foreign) + len(f.different)
	return fmt.Sprintf(row, r.combination, r.harm.name, sent, accepted, r.harms, r.answers.statuses["503"], other,
		len(f.lost), len(f.twice), len(f.reordered), r.answers.gap.Round(10*time.Millisecond), r.took.Round(100*time.Millisecond))
}

// detail says what is broken, and shows the end of the service's log.
func (r *run) detail(w io.Writer) {
	for _, list := range [][]string{r.faults, r.answers.wrong, r.findings.lines()} {
		const most = 20
		for i, line := range list {
			if i == most {
				_, _ = fmt.Fprintf(w, "    and %d more\n", len(list)-most)
				break
			}
			_, _ = fmt.Fprintf(w, "    %s\n", line)
		}
	}
	_, _ = fmt.Fprintf(w, "    answers: %s\n", r.answers.histogram())
	_, _ = fmt.Fprintf(w, "    kept %s; the service's log ends with\n", r.folder)
	_, _ = fmt.Fprintln(w, tail(filepath.Join(r.folder, "service.log"), 40))
}

// tail returns the last lines of a file.
func tail(file string, count int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
