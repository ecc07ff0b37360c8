package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// programs builds the service, once in each way that is needed.
type programs struct {
	folder string
	// cgo is what the confluent driver needs.
	cgo   bool
	built map[string]string
}

func newPrograms(cgo bool) (*programs, error) {
	folder, err := os.MkdirTemp("", "faults-bin-")
	if err != nil {
		return nil, err
	}
	return &programs{folder: folder, cgo: cgo, built: make(map[string]string)}, nil
}

func (p *programs) remove() error { return os.RemoveAll(p.folder) }

// forHarm returns the path of the program that a harm is done to.
func (p *programs) forHarm(ctx context.Context, h harm) (string, error) {
	if !h.clock {
		return p.build(ctx, "netstreamflow", p.cgo)
	}
	overlay, err := jumpingClock(ctx, p.folder)
	if err != nil {
		return "", err
	}
	return p.build(ctx, "netstreamflow-clock", false, "-overlay", overlay)
}

func (p *programs) build(ctx context.Context, name string, cgo bool, flags ...string) (string, error) {
	if binary, ok := p.built[name]; ok {
		return binary, nil
	}
	binary := filepath.Join(p.folder, name)
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/netstreamflow")...)
	enabled := 0
	if cgo {
		enabled = 1
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+strconv.Itoa(enabled))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the service: %w\n%s", err, out)
	}
	p.built[name] = binary
	return binary, nil
}
