package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

func newDLQ(environ []string) *cobra.Command {
	c := &adminClient{environ: environ}
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, requeue and drop the dead letters of a running instance",
		Long: `Work on the dead letters through the HTTP API of a running instance: records that could not be processed, with the reason.

  netstreamflow dlq list --reason timestamp
  netstreamflow dlq show 0-17
  netstreamflow dlq requeue 0-17 0-18
  netstreamflow dlq requeue --reason timestamp --to 2026-01-31T00:00:00Z
  netstreamflow dlq drop --all

A requeue sends the record to the topic again, as it was. One that fails again becomes another dead letter. Where the
instance asks who calls, a token or key with the scope admin comes from NETSTREAMFLOW_TOKEN, from the file that
NETSTREAMFLOW_TOKEN_FILE or --token-file names, or from --token, which other users of the machine can see.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("unknown command \"dlq %s\": list, show, requeue and drop are there, see --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.url, "url", "http://127.0.0.1:5000", "`URL` of the instance")
	flags.StringVar(&c.token, "token", "", "`token` or key to call with")
	flags.StringVar(&c.tokenFile, "token-file", "", "`file` with the token or key")
	flags.DurationVar(&c.timeout, "timeout", time.Minute, "how `long` to wait for each answer")
	flags.BoolVar(&c.json, "json", false, "print JSON, one value a line")
	cmd.AddCommand(newDLQList(c), newDLQShow(c), newDLQRequeue(c), newDLQDrop(c))
	return cmd
}

// letterFilter selects dead letters.
type letterFilter struct {
	reason, from, to string
	all              bool
}

func (f *letterFilter) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "only those with this `text` in their reason")
	cmd.Flags().StringVar(&f.from, "from", "", "only those given up at this `time` or later, such as 2026-01-31T00:00:00Z")
	cmd.Flags().StringVar(&f.to, "to", "", "only those given up before this `time`")
}

// check says which flag is wrong.
func (f *letterFilter) check() error {
	for _, t := range []struct{ flag, text string }{{"--from", f.from}, {"--to", f.to}} {
		if _, err := time.Parse(time.RFC3339, t.text); t.text != "" && err != nil {
			return &netstreamflow.SettingError{
				Setting: t.flag, Value: t.text, Given: true, Detail: "must be a time of RFC 3339, such as 2026-01-31T00:00:00Z",
			}
		}
	}
	return nil
}

// query are the parameters of a list.
func (f *letterFilter) query(limit int, cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"reason": f.reason, "from": f.from, "to": f.to, "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	q.Set("limit", strconv.Itoa(limit))
	return q.Encode()
}

// letter is a dead letter as the API shows it.
type letter struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Key       *string   `json:"key"`
	KeyBase64 string    `json:"keyBase64"`
	Reason    string    `json:"reason"`
	Origin    *struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
	} `json:"origin"`
	Attempts int `json:"attempts"`
	Requeues int `json:"requeues"`
	Size     int `json:"size"`
}

// letterPage is a page of them, each also as it came.
type letterPage struct {
	Letters    []json.RawMessage `json:"letters"`
	Open       int64             `json:"open"`
	Unlisted   int64             `json:"unlisted"`
	NextCursor string            `json:"nextCursor"`
}

const (
	lettersPath = "/api/admin/dead-letters"
	pageLetters = 1000
)

func newDLQList(c *adminClient) *cobra.Command {
	var f letterFilter
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the open dead letters",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.prepare(f); err != nil {
				return err
			}
			if limit < 1 {
				return &netstreamflow.SettingError{Setting: "--limit", Value: strconv.Itoa(limit), Given: true, Detail: "must be 1 or more"}
			}
			return c.list(cmd.Context(), f, limit, cmd.OutOrStdout())
		},
	}
	f.addFlags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "how `many` at most")
	return cmd
}

func (c *adminClient) list(ctx context.Context, f letterFilter, limit int, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !c.json {
		_, _ = fmt.Fprintln(table, "ID\tTIME\tKEY\tORIGIN\tATTEMPTS\tREQUEUES\tBYTES\tREASON")
	}
	shown := 0
	page := letterPage{}
	for cursor := ""; shown < limit; cursor = page.NextCursor {
		page = letterPage{}
		if err := c.get(ctx, lettersPath+"?"+f.query(min(limit-shown, pageLetters), cursor), &page); err != nil {
			return err
		}
		for _, raw := range page.Letters {
			if err := c.row(table, out, raw); err != nil {
				return err
			}
		}
		if shown += len(page.Letters); page.NextCursor == "" {
			break
		}
	}
	if c.json {
		return nil
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d shown, %d open\n", shown, page.Open)
	return err
}

// row prints one letter.
func (c *adminClient) row(table, out io.Writer, raw json.RawMessage) error {
	if c.json {
		_, err := fmt.Fprintf(out, "%s\n", raw)
		return err
	}
	var l letter
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	origin := "-"
	if l.Origin != nil {
		origin = fmt.Sprintf("%s/%d/%d", l.Origin.Topic, l.Origin.Partition, l.Origin.Offset)
	}
	key := "-"
	switch {
	case l.Key != nil:
		key = plain(*l.Key)
	case l.KeyBase64 != "":
		key = "base64:" + l.KeyBase64
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", l.ID, l.Time.UTC().Format(time.RFC3339), key, origin, l.Attempts,
		l.Requeues, l.Size, plain(l.Reason))
	return err
}

// plain is text that cannot do anything to a terminal or to a table.
func plain(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func newDLQShow(c *adminClient) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID…",
		Short: "Show dead letters with their headers and payloads",
		Args:  someIDs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := c.prepare(letterFilter{}); err != nil {
				return err
			}
			for _, id := range ids {
				var raw json.RawMessage
				if err := c.get(cmd.Context(), letterPath(id), &raw); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				if !c.json {
					raw = indented(raw)
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func letterPath(id string) string { return lettersPath + "/" + url.PathEscape(id) }

func someIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{fmt.Errorf("dlq %s needs the ids of dead letters, as dlq list shows them", cmd.Name())}
	}
	return nil
}
