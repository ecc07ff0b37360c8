package kafka

import (
	"hash"

	"github.com/xdg-go/scram"
)

// scramClient implements [sarama.SCRAMClient] for one login, with the password as it is then.
type scramClient struct {
	hash         func() hash.Hash
	password     func() string
	conversation *scram.ClientConversation
}

// Begin implements [sarama.SCRAMClient]. The password that Sarama knows is the one of when the client was made.
func (c *scramClient) Begin(username, _, authorization string) error {
	client, err := scram.HashGeneratorFcn(c.hash).NewClient(username, c.password(), authorization)
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
