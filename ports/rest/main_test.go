package rest

import (
	"testing"

	"go.uber.org/goleak"
)

// The server waits for half a second after an answer that it gave by itself, and nobody can wait for that.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}
