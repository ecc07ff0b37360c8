package brokertest

import (
	"os"
	"testing"
)

// FromEnvironment returns what the variable names, such as the address of a real server. Without it the test is skipped, or
// fails where NSF_TEST_REQUIRE is set, as it is wherever nothing may be left out.
func FromEnvironment(t testing.TB, variable string) string {
	t.Helper()
	named := os.Getenv(variable)
	switch {
	case named != "":
	case os.Getenv("NSF_TEST_REQUIRE") != "":
		t.Fatalf("%s is not set, and NSF_TEST_REQUIRE is", variable)
	default:
		t.Skipf("%s is not set: see CONTRIBUTING.md", variable)
	}
	return named
}
