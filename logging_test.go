package netstreamflow

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeatedWarningsAreLeftOutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		cfg := DefaultConfig()
		cfg.LogOutput, cfg.LogFormat = &out, formatText
		logger := provideLogger(cfg).With("part", "broker")
		for range 1000 {
			logger.Warn("away")
			logger.Info("news")
		}
		logger.WithGroup("g").Error("other")
		if got := strings.Count(out.String(), "msg=away"); got != throttleBurst {
			t.Errorf("%d warnings", got)
		}
		if strings.Count(out.String(), "msg=news") != 1000 || strings.Count(out.String(), "msg=other") != 1 {
			t.Error("what does not repeat, or is no warning, was left out")
		}
		time.Sleep(throttlePeriod)
		out.Reset()
		logger.Warn("away")
		if !strings.Contains(out.String(), fmt.Sprintf("suppressed=%d", 1000-throttleBurst)) {
			t.Errorf("%s", out.String())
		}
	})
}

// TestStrangersFillNoLog: what the standard library tells of clients has their addresses in it.
func TestStrangersFillNoLog(t *testing.T) {
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.LogOutput = &out
	logger := provideLogger(cfg)
	server := slog.NewLogLogger(titled{logger.Handler(), serverTrouble}, slog.LevelWarn)
	for i := range 3 * throttleMessages {
		server.Printf("TLS handshake error from 192.0.2.1:%d: EOF", i)
	}
	if n := strings.Count(out.String(), "\n"); n != throttleBurst || !strings.Contains(out.String(), `"error":"TLS handshake error from 192.0.2.1:0: EOF"`) {
		t.Errorf("%d lines: %s", n, out.String())
	}
	for i := range 3 * throttleMessages {
		logger.Warn(fmt.Sprint("a message of its own, ", i))
	}
	if n := len(logger.Handler().(*throttle).messages); n > throttleMessages {
		t.Errorf("%d messages are remembered", n)
	}
}

func TestDebugIsOffByDefault(t *testing.T) {
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.LogOutput = &out
	if provideLogger(cfg).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("debug is on")
	}
}
