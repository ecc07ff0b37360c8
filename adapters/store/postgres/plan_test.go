package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestPlans holds the server to plans that go along one index from the first number on, without sorting anything: without
// statistics, and with some that speak for other plans, as when all that was seen was one user's.
func TestPlans(t *testing.T) {
	address := newSchema(t)
	s := openAt(t, address)
	defer closeIt(t, s)
	checkPlans(t, s)
	var entries []application.Entry
	for i := range 20_000 {
		e, err := domain.Draft{UserID: "u", EventType: "t", Metadata: fmt.Appendf(nil, `{"n":%d}`, i)}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, application.Entry{Event: e})
	}
	record(t, s, entries...)
	administer(t, address, `ANALYZE`)
	s.readers.Reset()
	checkPlans(t, s)
}

func checkPlans(t *testing.T, s *Store) {
	t.Helper()
	const scan = "Index Scan (Backward )?using "
	want := map[source]string{
		fromAll:         scan + `events_seq on events e; Index Cond: \(\(seq >= run.low\) AND \(seq <= run.high\)\)`,
		fromUser:        scan + `events_user on events e; Index Cond: \(\(user_id = ANY \(.*\)\) AND \(seq >= run.low\) AND \(seq <= run.high\)`,
		fromType:        scan + `events_type on events e; Index Cond: \(\(type = ANY \(.*\)\) AND \(seq >= run.low\) AND \(seq <= run.high\)`,
		fromUserAndType: scan + `events_user on events e; Index Cond: \(\(user_id = ANY \(.*\)\) AND \(seq >= run.low\) AND \(seq <= run.high\)`,
		fromPairs: `Nested Loop; ->  Index (Only )?Scan (Backward )?using pairs_key on pairs p; Index Cond: \(\(user_id = ANY \(.*\)\) AND \(type = \$\d+\) AND \(seq >= run.low\) AND \(seq <= run.high\).*` +
			`->  Index (Only )?Scan using events_seq on events e; Index Cond: \(seq = p.seq\)`,
	}
	for shape, text := range s.texts {
		plan := planOf(t, s, text)
		expected := strings.ReplaceAll(want[shape.source], "Index Scan", "Index (Only )?Scan")
		if !regexp.MustCompile(expected).MatchString(plan) || strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%+v: %s", shape, plan)
		}
		if shape.source == fromUserAndType && !strings.Contains(plan, "AND (type = $") {
			t.Errorf("%+v: the index is not asked for the type: %s", shape, plan)
		}
		if shape.timed && shape.source != fromAll && !strings.Contains(plan, "AND (sec >= $") {
			t.Errorf("%+v: the index is not asked for the time: %s", shape, plan)
		}
	}
}

// planOf returns the plan of a query's statement, in one line.
func planOf(t *testing.T, s *Store, text string) string {
	t.Helper()
	args := pgx.NamedArgs{}
	for _, name := range []string{"lows", "highs", "limit", "bytes", "users", "type", "types", "from_sec", "from_nano", "to_sec", "to_nano"} {
		args[name] = nil
	}
	var lines []string
	err := s.read(t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		statement, values, err := args.RewriteQuery(ctx, conn, text, nil)
		if err != nil {
			return err
		}
		nulls := strings.TrimSuffix(strings.Repeat("NULL,", len(values)), ",")
		if _, err = conn.Exec(ctx, "PREPARE it AS "+statement); err != nil {
			return err
		}
		rows, _ := conn.Query(ctx, "EXPLAIN (COSTS OFF) EXECUTE it ("+nulls+")", pgx.QueryExecModeSimpleProtocol)
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		if err == nil {
			_, err = conn.Exec(ctx, "DEALLOCATE it")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "; ")
}

// TestWriterPlans is the same for the removal of events.
func TestWriterPlans(t *testing.T) {
	s := openAt(t, newSchema(t))
	defer closeIt(t, s)
	record(t, s, storetest.BenchEntries(2000)...)
	for text, want := range map[string]string{
		"EXPLAIN (COSTS OFF) DELETE FROM events WHERE seq >= 1 AND seq < 5": `Index Scan using events_seq`,
		"EXPLAIN (COSTS OFF) " + strings.NewReplacer("$1", "1", "$2", "5").Replace(deletePairs): `Nested Loop; ->  Index Scan using events_seq on events e; ` +
			`Index Cond: .*->  Index Scan using pairs_key on pairs p; Index Cond: \(\(user_id = e.user_id\) AND \(type = e.type\) AND \(seq = e.seq\)\)`,
		"EXPLAIN (COSTS OFF) " + strings.NewReplacer("$1", "ARRAY['u']", "$2", "5").Replace(insertUser): `Index (Only )?Scan using events_user`,
	} {
		var lines []string
		conn, err := s.writer.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := conn.Query(t.Context(), text)
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		conn.Release()
		for i, line := range lines {
			lines[i] = strings.TrimSpace(line)
		}
		if plan := strings.Join(lines, "; "); err != nil || !regexp.MustCompile(want).MatchString(plan) {
			t.Errorf("%s: %s, %v", text, plan, err)
		}
	}
}
