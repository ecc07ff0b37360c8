package netstreamflow

import (
	"log/slog"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// inspecting are the parts that look into the broker. What the broker cannot do is nil.
type inspecting struct {
	records *broker.Records
	letters *broker.Letters
}

func provideInspecting(cfg valid, b broker.Broker, logger *slog.Logger) (inspecting, func()) {
	log, ok := b.(broker.Replayable)
	if !ok {
		return inspecting{}, func() {}
	}
	records := broker.NewRecords(log)
	letters := broker.NewLetters(log, records, broker.Options{
		Topic: cfg.Topic, DeadLetterTopic: cfg.DeadLetterTopic(), Logger: logger.With("part", "dead letters"),
	})
	return inspecting{records: records, letters: letters}, records.Close
}

func provideLetters(i inspecting) *application.Letters {
	if i.letters == nil {
		return application.NewLetters(nil)
	}
	return application.NewLetters(i.letters)
}

func provideInspect(cfg valid, b broker.Broker, i inspecting, s application.Store) *application.Inspect {
	names := application.Inspected{Topic: cfg.Topic, DeadLetterTopic: cfg.DeadLetterTopic()}
	switch {
	case isVolatile(b): // it has no groups
	case s.Volatile():
		names.OtherGroups = []string{inspectorGroup(cfg)}
	default:
		names.Group = cfg.Group
	}
	return application.NewInspect(broker.NewInspector(b, i.records), s, names)
}
