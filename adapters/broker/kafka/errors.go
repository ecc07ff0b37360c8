package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"

	"github.com/netstreamflow/netstreamflow/domain"
)

var errClosed = fmt.Errorf("%w: the broker is closed", domain.ErrUnavailable)

// unavailable gives the error its kind: trying again later may help.
func unavailable(err error) error {
	if err == nil || errors.Is(err, domain.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: kafka: %w", domain.ErrUnavailable, err)
}

// isUnsent tells whether the record has certainly not been sent, for reasons that another producer may not have.
func isUnsent(err error) bool {
	return isAny(err, breaker.ErrBreakerOpen, sarama.ErrOutOfBrokers, sarama.ErrClosedClient, sarama.ErrShuttingDown,
		sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable)
}

// isFinal tells whether the producer is of no more use: its sequence is broken, it has stopped trying for ten seconds, or
// what it knows of the topic is wrong.
func isFinal(err error) bool {
	return isUnsent(err) || isTooLarge(err) || isAny(err, sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID,
		sarama.ErrInvalidProducerEpoch, sarama.ErrInvalidProducerIDMapping, sarama.ErrProducerFenced)
}

// isTooLarge tells whether the server found a batch too large.
func isTooLarge(err error) bool {
	return isAny(err, sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge)
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
