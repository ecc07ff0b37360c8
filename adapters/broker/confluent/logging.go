//go:build cgo

package confluent

import (
	"context"
	"log/slog"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// waitingLogs is how many lines of librdkafka may wait to be logged.
const waitingLogs = 64

// The levels of syslog that librdkafka uses.
const (
	syslogCritical = 2
	syslogWarning  = 4
	syslogInfo     = 6
)

// forward logs what librdkafka says, until ctx ends.
func forward(ctx context.Context, logs <-chan kafka.LogEvent, logger *slog.Logger) {
	for {
		select {
		case line := <-logs:
			logger.Log(ctx, level(line.Level), "librdkafka",
				"message", line.Message, "client", line.Name, "tag", line.Tag)
		case <-ctx.Done():
			return
		}
	}
}

// level maps syslog's levels. librdkafka calls a lost connection an error; it is one that passes.
func level(syslog int) slog.Level {
	switch {
	case syslog <= syslogCritical:
		return slog.LevelError
	case syslog <= syslogWarning:
		return slog.LevelWarn
	case syslog <= syslogInfo:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}
