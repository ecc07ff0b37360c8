package kafka_test

import (
	"errors"
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
	t.Parallel()
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			port, folder := freePort(t), t.TempDir()
			server := func() *kfake.Cluster {
				return fake(t, kfake.Ports(port), kfake.DataDir(folder), kfake.SyncWrites(), kfake.EnableSASL(), kfake.Superuser(mechanism, user, "old-secret"))
			}
			var current atomic.Pointer[string]
			current.Store(new("old-secret"))
			first := server()
			o := options()
			o.PublishTimeout = 2 * time.Second
			o.Password = func() string { return *current.Load() }
			b := open(t, first.ListenAddrs(), "username=alice&sasl="+mechanism, o)
			before := keyed("key", 3, 1)
			publish(t, b, o.Topic, before...)
			messages, _ := subscribe(t, b, "group", o.Topic)
			wantIDs(t, acked(t, messages, 3), before)
			changePassword(t, first, mechanism, "old-secret", "new-secret", func() { server() })
			wantUnavailable(t, "publish with the old password", b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...))
			current.Store(new("new-secret"))
			after := keyed("key", 3, 1)
			var err error
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
				if err = b.Publisher().Publish(o.Topic, after...); !errors.Is(err, domain.ErrUnavailable) {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			// What was acked shortly before the end of the server may come again.
			for got := acked(t, messages, 1); got[0] != after[2].UUID; {
				got = acked(t, messages, 1)
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
