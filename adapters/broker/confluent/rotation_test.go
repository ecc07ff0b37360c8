//go:build cgo

package confluent

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/netstreamflow/netstreamflow/domain"
)

// TestPasswordChanges has the server take another password, and then the service: what is open goes on by itself.
func TestPasswordChanges(t *testing.T) {
	for _, mechanism := range []string{"SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			folder, port := t.TempDir(), freePort(t)
			server := func() *kfake.Cluster {
				return fake(t, kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(folder), kfake.SyncWrites(), kfake.EnableSASL(), kfake.Superuser(mechanism, user, "old-secret"))
			}
			var current atomic.Pointer[string]
			current.Store(new("old-secret"))
			first := server()
			o := benchOptions()
			o.PublishTimeout = 2 * time.Second
			o.Password = func() string { return *current.Load() }
			b := openTest(t, "confluent://"+addresses(first)+"?sasl="+mechanism+"&username="+user, o)
			publish(t, b, o.Topic, 3, 1)
			_, messages := subscribe(t, b, "group-"+o.Topic, o.Topic)
			for range 3 {
				next(t, messages).Ack()
			}
			changePassword(t, first, mechanism, "old-secret", "new-secret", func() { server() })
			err := b.Publisher().Publish(o.Topic, keyed(1)...)
			if !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), "-secret") {
				t.Errorf("publish with the old password: %v", err)
			}
			current.Store(new("new-secret"))
			sent := keyed(1)
			for end := time.Now().Add(20 * time.Second); ; {
				if err = b.Publisher().Publish(o.Topic, sent...); err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal(err)
				}
			}
			for got := next(t, messages); got.UUID != sent[0].UUID; got = next(t, messages) {
				got.Ack()
			}
		})
	}
}

// changePassword has the server take another password for the user, and cuts all connections by a restart.
func changePassword(t *testing.T, c *kfake.Cluster, mechanism, from, to string, restart func()) {
	t.Helper()
	auth := scram.Auth{User: user, Pass: from}
	login, kind := auth.AsSha256Mechanism(), kadm.ScramSha256
	if mechanism == "SCRAM-SHA-512" {
		login, kind = auth.AsSha512Mechanism(), kadm.ScramSha512
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.SASL(login))
	if err != nil {
		t.Fatal(err)
	}
	altered, err := kadm.NewClient(client).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kind, Iterations: 4096, Password: to}})
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	c.Close()
	restart()
}
