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

func TestDebugIsOffByDefault(t *testing.T) {
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.LogOutput = &out
	if provideLogger(cfg).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("debug is on")
	}
}
