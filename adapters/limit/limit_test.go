package limit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// take asks for n units and fails the test on an error.
func take(t *testing.T, l application.Limiter, caller string, n, held int) application.Grant {
	t.Helper()
	g, err := l.Take(t.Context(), caller, n, held)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestCostsStayInRange asks for as much as an int holds of the slowest quota: nothing is given away by a sum that turns round.
func TestCostsStayInRange(t *testing.T) {
	m := NewMemory(application.Quota{Units: 1, Window: 24 * time.Hour})
	if g := take(t, m, "a", math.MaxInt, 0); !g.Allowed || g.Remaining != 0 || g.Next <= 0 {
		t.Errorf("all: %+v", g)
	}
	for range 3 {
		if g := take(t, m, "a", math.MaxInt, 0); g.Allowed || g.Wait <= 0 || g.Next <= 0 {
			t.Errorf("while all of it is owed: %+v", g)
		}
	}
	if _, cost := m.price(math.MaxInt, 0); cost < domain.MaxElements*24*time.Hour {
		t.Errorf("all of it costs %s, less than the largest batch", cost)
	}
}

// contract holds what every limiter does. The quotas' windows are so long that the time that the test takes does not count.
func contract(t *testing.T, open func(application.Quota) application.Limiter) {
	t.Run("AllAtOnce", func(t *testing.T) {
		l := open(application.Quota{Units: 5, Window: 10 * time.Hour})
		for left := 4; left >= 0; left-- {
			if g := take(t, l, "a", 1, 0); !g.Allowed || g.Remaining != left || g.Wait != 0 || g.Next <= 0 || g.Next > 2*time.Hour {
				t.Errorf("with %d left: %+v", left, g)
			}
		}
		for range 3 {
			g := take(t, l, "a", 1, 0)
			if g.Allowed || g.Remaining != 0 || g.Wait > 2*time.Hour || g.Wait < 2*time.Hour-time.Minute || g.Next != g.Wait {
				t.Errorf("above it: %+v", g)
			}
		}
		if g := take(t, l, "b", 1, 0); !g.Allowed {
			t.Error("another caller has nothing left")
		}
	})
	t.Run("More", func(t *testing.T) {
		l := open(application.Quota{Units: 10, Window: 10 * time.Hour})
		if g := take(t, l, "a", 10, 0); !g.Allowed || g.Remaining != 0 {
			t.Errorf("all: %+v", g)
		}
		take(t, l, "b", 4, 0)
		if g := take(t, l, "b", 7, 0); g.Allowed || g.Remaining != 6 || g.Wait > time.Hour || g.Wait < time.Hour-time.Minute {
			t.Errorf("more than is left: %+v", g)
		}
		if g := take(t, l, "b", 6, 0); !g.Allowed || g.Remaining != 0 {
			t.Errorf("what is left: %+v", g)
		}
		if g := take(t, l, "c", 25, 0); !g.Allowed || g.Remaining != 0 || g.Next > 16*time.Hour || g.Next < 16*time.Hour-time.Minute {
			t.Errorf("more than there is, of all of it: %+v", g)
		}
		if g := take(t, l, "c", 1, 0); g.Allowed || g.Wait > 16*time.Hour || g.Wait < 16*time.Hour-time.Minute {
			t.Errorf("while something is owed: %+v", g)
		}
		take(t, l, "d", 1, 0)
		if g := take(t, l, "d", 25, 0); g.Allowed || g.Wait > time.Hour || g.Wait < time.Hour-time.Minute {
			t.Errorf("more than there is, of less: %+v", g)
		}
	})
	t.Run("Held", func(t *testing.T) {
		l := open(application.Quota{Units: 10, Window: 10 * time.Hour})
		take(t, l, "a", 1, 0)
		if g := take(t, l, "a", 10, 1); !g.Allowed || g.Remaining != 0 {
			t.Errorf("all, of which one is taken: %+v", g)
		}
		take(t, l, "b", 1, 0)
		if g := take(t, l, "b", 10_000, 1); !g.Allowed || g.Next < 9000*time.Hour {
			t.Errorf("far more, of which one is taken: %+v", g)
		}
		take(t, l, "c", 1, 0)
		if g := take(t, l, "c", 1, 1); !g.Allowed || g.Remaining != 9 {
			t.Errorf("nothing more: %+v", g)
		}
	})
	t.Run("Names", func(t *testing.T) {
		l := open(application.Quota{Units: 1, Window: 10 * time.Hour})
		long := string(make([]byte, 10_000))
		for _, caller := range []string{"", "a", "a\n", "日本", long, long + "x"} {
			if !take(t, l, caller, 1, 0).Allowed || take(t, l, caller, 1, 0).Allowed {
				t.Errorf("%.20q shares with another one, or has more", caller)
			}
		}
	})
	t.Run("Together", func(t *testing.T) {
		l := open(application.Quota{Units: 100, Window: 10 * time.Hour})
		var allowed atomic.Int64
		var running sync.WaitGroup
		for range 20 {
			running.Go(func() {
				for range 20 {
					if g, err := l.Take(t.Context(), "a", 1, 0); err == nil && g.Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		running.Wait()
		if n := allowed.Load(); n != 100 {
			t.Errorf("%d of 100 were let through", n)
		}
	})
}

func TestMemory(t *testing.T) {
	contract(t, func(q application.Quota) application.Limiter { return NewMemory(q) })
}

// TestMemoryRefills has a caller come back when the grants say, and earlier.
func TestMemoryRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(application.Quota{Units: 5, Window: time.Second})
		take(t, m, "a", 5, 0)
		for range 100 {
			g := take(t, m, "a", 1, 0)
			if g.Allowed || g.Wait != 200*time.Millisecond {
				t.Fatalf("%+v", g)
			}
			time.Sleep(g.Wait - 1)
			if take(t, m, "a", 1, 0).Allowed {
				t.Fatal("let through too early")
			}
			time.Sleep(time.Nanosecond)
			if !take(t, m, "a", 1, 0).Allowed {
				t.Fatal("refused when the time had come")
			}
		}
		time.Sleep(time.Hour)
		if g := take(t, m, "a", 1, 0); g.Remaining != 4 {
			t.Errorf("after a long time: %+v", g)
		}
	})
}

// TestMemoryInTheLongRun has callers who take as much as they get, in steps of any size.
func TestMemoryInTheLongRun(t *testing.T) {
	for _, q := range []application.Quota{{Units: 1, Window: time.Second}, {Units: 7, Window: 3 * time.Second}, {Units: 1000, Window: time.Second}, {Units: 600, Window: time.Minute}} {
		t.Run(fmt.Sprintf("%d in %s", q.Units, q.Window), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(q)
				random := rand.New(rand.NewPCG(1, 2))
				const windows = 1000
				var taken, largest int
				for start := time.Now(); time.Since(start) < windows*q.Window; {
					n := 1 + random.IntN(3*q.Units)
					if g := take(t, m, "a", n, 0); g.Allowed {
						taken += n
						largest = max(largest, n)
					} else {
						time.Sleep(g.Wait)
					}
				}
				if most := q.Units*(windows+1) + largest; taken > most || taken < q.Units*windows-largest {
					t.Errorf("%d units in %d windows of %d", taken, windows, q.Units)
				}
			})
		})
	}
}

// TestBucketAgreesWithItself takes what is said to remain, and one more.
func TestBucketAgreesWithItself(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		b := bucket{application.Quota{Units: 1 + random.IntN(1_000_000), Window: time.Duration(1+random.IntN(86_400)) * time.Second}}
		owed := time.Duration(random.Int64N(int64(b.Window) * 2))
		left := b.remaining(owed)
		if need, _ := b.price(left, 0); left > 0 && owed+need > b.Window {
			t.Fatalf("%+v, %v owed: %d do not remain", b, owed, left)
		}
		if need, _ := b.price(left+1, 0); left < b.Units && owed+need <= b.Window {
			t.Fatalf("%+v, %v owed: more than %d remain", b, owed, left)
		}
		if left < 0 || left > b.Units {
			t.Fatalf("%+v, %v owed: %d remain", b, owed, left)
		}
	}
}

// TestMemoryForgets bounds the memory: the caller who was seen last of all is forgotten.
func TestMemoryForgets(t *testing.T) {
	m := NewMemory(application.Quota{Units: 1, Window: 10 * time.Hour})
	take(t, m, "first", 1, 0)
	for i := range maxCallers - 1 {
		take(t, m, fmt.Sprint(i), 1, 0)
	}
	if take(t, m, "first", 1, 0).Allowed {
		t.Error("forgotten too early")
	}
	for i := range 3 * maxCallers {
		take(t, m, fmt.Sprint("more", i), 1, 0)
	}
	if n := m.Callers(); n != maxCallers {
		t.Errorf("%d callers are remembered", n)
	}
	if !take(t, m, "first", 1, 0).Allowed {
		t.Error("not forgotten")
	}
}

func BenchmarkMemory(b *testing.B) {
	m := NewMemory(application.Quota{Units: 1_000_000, Window: time.Second})
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			_, _ = m.Take(b.Context(), "ip:192.0.2.1", 1, 0)
		}
	})
}
