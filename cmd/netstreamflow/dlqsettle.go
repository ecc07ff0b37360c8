package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// requeueAtOnce is how many dead letters one call requeues: few enough for the progress to be seen.
const requeueAtOnce = 200

// maxExamples is how many failures are told one by one.
const maxExamples = 20

func newDLQRequeue(c *adminClient) *cobra.Command {
	return newDLQSettle(c, settling{
		verb: "requeue", past: "requeued", short: "Have dead letters processed again",
		long: `Send the records of dead letters to their topic again: those of the ids, or those that a filter selects, or all.

They are sent in the order of the dead letters, those of one key one after another, and come behind what the same user has sent
since. What fails again becomes another dead letter, which this command does not send once more. A letter that was requeued or
dropped before is left alone. What could not be requeued stays open; the exit status is then 1.`,
		one: (*adminClient).requeueOne, many: (*adminClient).requeueMany,
	})
}

func newDLQDrop(c *adminClient) *cobra.Command {
	return newDLQSettle(c, settling{
		verb: "drop", past: "dropped", short: "Settle dead letters without processing them",
		long: `Drop dead letters: those of the ids, or those that a filter selects, or all. They are not listed any more; their records stay
in the dead-letter topic until its retention removes them. A letter that was requeued or dropped before is left alone.`,
		one: (*adminClient).dropOpen, many: (*adminClient).dropMany,
	})
}

// settling is what one of the two commands does.
type settling struct {
	verb, past, short, long string
	// one settles one letter, many what a filter selects.
	one  func(c *adminClient, ctx context.Context, id string) (done bool, err error)
	many func(c *adminClient, ctx context.Context, f letterFilter, s *settled) error
}

// settled is what a command has done.
type settled struct {
	cmd      *cobra.Command
	verb     string
	bar      *progress
	Done     int `json:"done"`
	Already  int `json:"already"`
	Failed   int `json:"failed"`
	Left     int `json:"left"`
	examples int
}

func newDLQSettle(c *adminClient, what settling) *cobra.Command {
	var f letterFilter
	cmd := &cobra.Command{
		Use: what.verb + " [ID…]", Short: what.short, Long: what.long,
		Args: func(_ *cobra.Command, ids []string) error {
			filtered := f.reason != "" || f.from != "" || f.to != "" || f.all
			switch {
			case len(ids) == 0 && !filtered:
				return &usageError{fmt.Errorf("dlq %s needs ids, or a filter (--reason, --from, --to), or --all", what.verb)}
			case len(ids) > 0 && filtered:
				return &usageError{fmt.Errorf("dlq %s takes ids or a filter, not both", what.verb)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := c.prepare(f); err != nil {
				return err
			}
			s := &settled{cmd: cmd, verb: what.verb, bar: newProgress(cmd.ErrOrStderr())}
			var err error
			if len(ids) > 0 {
				err = s.each(ids, func(id string) (bool, error) { return what.one(c, cmd.Context(), id) })
			} else {
				err = what.many(c, cmd.Context(), f, s)
			}
			s.bar.end()
			return errors.Join(s.report(c, what.past), err)
		},
	}
	f.addFlags(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "all open dead letters")
	return cmd
}

// each settles the letters of the ids; a failure does not hold up the others.
func (s *settled) each(ids []string, one func(id string) (done bool, err error)) error {
	for i, id := range ids {
		done, err := one(id)
		switch {
		case err != nil:
			s.fail(id, err.Error())
		case done:
			s.Done++
		default:
			s.Already++
		}
		if err := s.cmd.Context().Err(); err != nil {
			return err
		}
		s.bar.show(s.verb, int64(i+1), int64(len(ids)))
	}
	return nil
}

func (s *settled) fail(id, detail string) {
	s.Failed++
	if s.examples++; s.examples <= maxExamples {
		s.bar.end()
		_, _ = fmt.Fprintf(s.cmd.ErrOrStderr(), "%s %s: %s\n", s.verb, id, plain(detail))
	}
}

// report prints what was done; the error says that it was not all.
func (s *settled) report(c *adminClient, past string) error {
	var err error
	if c.json {
		var text []byte
		if text, err = json.Marshal(s); err == nil {
			_, err = fmt.Fprintf(s.cmd.OutOrStdout(), "%s\n", text)
		}
	} else {
		_, err = fmt.Fprintf(s.cmd.OutOrStdout(), "%d %s, %d had been settled before, %d failed\n", s.Done, past, s.Already, s.Failed)
	}
	if s.Failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d dead letters could not be %s", s.Failed, past))
	}
	return err
}

func (c *adminClient) requeueOne(ctx context.Context, id string) (done bool, err error) {
	var answer struct{ Requeued int }
	err = c.call(ctx, http.MethodPost, letterPath(id)+"/requeue", nil, &answer)
	return answer.Requeued > 0, err
}

// dropOpen drops the letter unless it is settled, which the answer to a drop does not tell.
func (c *adminClient) dropOpen(ctx context.Context, id string) (done bool, err error) {
	var found struct{ State string }
	if err := c.get(ctx, letterPath(id), &found); err != nil || found.State != "open" {
		return false, err
	}
	return true, c.drop(ctx, id)
}

func (c *adminClient) drop(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, letterPath(id), nil, nil)
}

// requeueMany calls until nothing is left of what the filter selected at the first call.
func (c *adminClient) requeueMany(ctx context.Context, f letterFilter, s *settled) error {
	filter := map[string]any{"limit": requeueAtOnce}
	for name, value := range map[string]string{"reason": f.reason, "from": f.from, "to": f.to} {
		if value != "" {
			filter[name] = value
		}
	}
	for {
		var answer struct {
			Requeued, Failed, Left int
			Failures               []struct{ ID, Detail string }
			NextCursor, To         string
		}
		if err := c.call(ctx, http.MethodPost, lettersPath+"/requeue", filter, &answer); err != nil {
			return err
		}
		for _, failure := range answer.Failures {
			s.fail(failure.ID, failure.Detail)
		}
		s.Failed += answer.Failed - len(answer.Failures)
		s.Done += answer.Requeued
		s.Left = answer.Left
		s.bar.show(s.verb, int64(s.Done+s.Failed), int64(s.Done+s.Failed+s.Left))
		if answer.NextCursor == "" {
			return nil
		}
		if answer.Requeued+answer.Failed == 0 && filter["cursor"] == answer.NextCursor {
			return errors.New("nothing was requeued in a whole call: try again later")
		}
		filter["cursor"], filter["to"] = answer.NextCursor, answer.To
	}
}

// dropMany drops page after page of what there is when it begins: nobody has looked at what comes after that.
func (c *adminClient) dropMany(ctx context.Context, f letterFilter, s *settled) error {
	if f.to == "" {
		f.to = time.Now().UTC().Format(time.RFC3339Nano)
	}
	for cursor := ""; ; {
		var page letterPage
		if err := c.get(ctx, lettersPath+"?"+f.query(pageLetters, cursor), &page); err != nil {
			return err
		}
		for _, raw := range page.Letters {
			var l letter
			if err := json.Unmarshal(raw, &l); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			if err := c.drop(ctx, l.ID); err != nil {
				s.fail(l.ID, err.Error())
				if s.Done == 0 || ctx.Err() != nil {
					return errors.New("given up")
				}
				continue
			}
			s.Done++
			s.bar.show(s.verb, int64(s.Done), 0)
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}
