package kafka

import (
	"hash"

	"github.com/xdg-go/scram"
)

// scramClient implements [sarama.SCRAMClient].
type scramClient struct {
	hash         func() hash.Hash
	conversation *scram.ClientConversation
}

// Begin implements [sarama.SCRAMClient].
func (c *scramClient) Begin(username, password, authorization string) error {
	client, err := scram.HashGeneratorFcn(c.hash).NewClient(username, password, authorization)
	if err != nil {
		return err
	}
	c.conversation = client.NewConversation()
	return nil
}

// Step implements [sarama.SCRAMClient].
func (c *scramClient) Step(challenge string) (string, error) { return c.conversation.Step(challenge) }

// Done implements [sarama.SCRAMClient].
func (c *scramClient) Done() bool { return c.conversation.Done() }
