package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow"
)

const (
	// maxAnswerBytes is how much of an answer is read: a page of letters, or one letter with its payload.
	maxAnswerBytes = 64 << 20
	maxTokenBytes  = 64 << 10
)

// adminClient calls the administration of a running instance.
type adminClient struct {
	environ               []string
	url, token, tokenFile string
	timeout               time.Duration
	json                  bool
}

// prepare checks what was given, and finds the token.
func (c *adminClient) prepare(f letterFilter) error {
	if err := f.check(); err != nil {
		return err
	}
	u, err := url.Parse(c.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return &netstreamflow.SettingError{
			Setting: "--url", Detail: "must be the http or https URL of an instance, without user and parameters, such as http://127.0.0.1:5000",
		}
	}
	c.url = strings.TrimSuffix(c.url, "/")
	if c.token != "" {
		return nil
	}
	if c.tokenFile != "" {
		return c.readToken("--token-file")
	}
	if c.token = c.variable("NETSTREAMFLOW_TOKEN"); c.token != "" {
		return nil
	}
	const variable = "NETSTREAMFLOW_TOKEN_FILE"
	if c.tokenFile = c.variable(variable); c.tokenFile != "" {
		return c.readToken(variable)
	}
	return nil
}

// variable returns the value of the environment variable, "" for none.
func (c *adminClient) variable(name string) string {
	for _, v := range c.environ {
		if value, is := strings.CutPrefix(v, name+"="); is {
			return value
		}
	}
	return ""
}

// readToken reads the file that the flag or variable names.
func (c *adminClient) readToken(spelling string) error {
	f, err := os.Open(c.tokenFile)
	if err != nil {
		return &netstreamflow.SettingError{Setting: spelling, Value: c.tokenFile, Given: true, Detail: "must name a readable file"}
	}
	defer f.Close() //nolint:errcheck // nothing was written
	token, err := io.ReadAll(io.LimitReader(f, maxTokenBytes))
	c.token = strings.TrimSpace(string(token))
	return err
}

func (c *adminClient) get(ctx context.Context, path string, to any) error {
	return c.call(ctx, http.MethodGet, path, nil, to)
}

// call makes a request, with a body unless it is nil, and reads the answer, unless to is nil.
func (c *adminClient) call(ctx context.Context, method, path string, body, to any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	res, err := exchange(req, maxAnswerBytes)
	if err != nil {
		return err
	}
	if res.code >= http.StatusMultipleChoices {
		return problemOf(res)
	}
	if to == nil {
		return nil
	}
	if err := json.Unmarshal(res.body, to); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func (c *adminClient) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// problemOf is the error that an answer tells of.
func problemOf(res reply) error {
	var problem struct{ Title, Detail string }
	if err := json.Unmarshal(res.body, &problem); err != nil || problem.Detail == "" {
		return errors.New(res.status)
	}
	return fmt.Errorf("%s: %s", res.status, problem.Detail)
}

// indented is JSON for people.
func indented(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return raw
	}
	return b.Bytes()
}
