package admin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

const (
	defaultProfile = 30 * time.Second
	longestProfile = time.Minute
)

// The profiles that take a while. The command line, which net/http/pprof shows too, may hold secrets.
const (
	profileCPU   = "profile"
	profileTrace = "trace"
)

// listProfiles is the page of all profiles.
func listProfiles() string {
	var b strings.Builder
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(&b, "/debug/pprof/%-14s %d\n", p.Name(), p.Count())
	}
	for _, name := range []string{profileCPU, profileTrace} {
		fmt.Fprintf(&b, "/debug/pprof/%s?seconds=%d\n", name, int(defaultProfile.Seconds()))
	}
	return b.String()
}

// serveProfile answers as net/http/pprof does, which is not used because it puts itself on the default mux of every program
// that imports it.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	var err error
	switch name := r.PathValue("name"); name {
	case profileCPU:
		err = during(r, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	case profileTrace:
		err = during(r, func() error { return trace.Start(w) }, trace.Stop)
	default:
		err = snapshot(w, r, name)
	}
	if err != nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// during runs what start starts for as long as the request wants, or until the client has gone.
func during(r *http.Request, start func() error, stop func()) error {
	length := defaultProfile
	if given := r.FormValue("seconds"); given != "" {
		seconds, err := strconv.ParseFloat(given, 64)
		length = time.Duration(seconds * float64(time.Second))
		if err != nil || length <= 0 || length > longestProfile {
			return fmt.Errorf("seconds must be a number above 0 and up to %d", int(longestProfile.Seconds()))
		}
	}
	if err := start(); err != nil {
		return err // another one runs
	}
	defer stop()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	return nil
}

// snapshot sends a profile that is always kept.
func snapshot(w http.ResponseWriter, r *http.Request, name string) error {
	p := pprof.Lookup(name)
	if p == nil {
		return errors.New("there is no such profile: see /debug/pprof/")
	}
	detail, err := strconv.Atoi(r.FormValue("debug"))
	if err != nil {
		detail = 0
	}
	if detail > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	return p.WriteTo(w, detail)
}
