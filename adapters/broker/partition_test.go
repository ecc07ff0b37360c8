package broker

import "testing"

// TestMurmur2 has the vectors of Kafka's UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartition(t *testing.T) {
	used := map[int]bool{}
	for _, key := range []string{"", "a", "21", "foobar", "a-little-bit-long-string", "пользователь", "user-1", "user-2"} {
		p := Partition([]byte(key), 6)
		if p < 0 || p > 5 {
			t.Errorf("partition %d of 6", p)
		}
		used[p] = true
		if Partition([]byte(key), 1) != 0 {
			t.Errorf("key %q is not in the only partition", key)
		}
	}
	if len(used) < 2 {
		t.Error("all keys are in one partition")
	}
}
