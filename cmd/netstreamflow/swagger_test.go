package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

// browser starts the Chromium that the environment names, which CI always does.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := brokertest.FromEnvironment(t, "NSF_TEST_BROWSER")
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1200, 1600),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(profile(t)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	// Unlike the function that ends the context, this waits for the browser, whose files then go.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

// profile is a folder for a browser, whose last processes may still write into it when the first one has ended.
func profile(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "browser-") //nolint:usetesting // the test would fail if the removal had to be tried twice
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the browser's files gone", func() bool { return os.RemoveAll(folder) == nil })
	})
	return folder
}

// watchPage collects what goes wrong on the page, and what it asks of others than the service.
func watchPage(ctx context.Context, s *service) (faults func() []string) {
	var mu sync.Mutex
	var all []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, "http://"+s.addr+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "blob:") {
				all = append(all, "asked elsewhere: "+url)
			}
		case *runtime.EventExceptionThrown:
			all = append(all, "exception: "+e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				all = append(all, "console error: "+string(e.Args[0].Value))
			}
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// Where things are on the page.
const (
	postBlock  = `//div[contains(@class,"opblock-post")][.//span[@data-path="/api/events"]]`
	statusCell = postBlock + `//table[contains(@class,"live-responses-table")]/tbody//td[contains(@class,"response-col_status")]`
)

// tryPost sends the example of POST /api/events from the page, and puts the status that it shows into status.
func tryPost(status *string) chromedp.Tasks {
	return chromedp.Tasks{
		chromedp.Click(postBlock + `//button[contains(@class,"opblock-summary-control")]`),
		chromedp.WaitVisible(postBlock + `//button[contains(@class,"try-out__btn")]`),
		chromedp.Click(postBlock + `//button[contains(@class,"try-out__btn")]`),
		chromedp.WaitVisible(postBlock + `//button[contains(@class,"execute")]`),
		chromedp.Click(postBlock + `//button[contains(@class,"execute")]`),
		chromedp.WaitVisible(statusCell),
		chromedp.Text(statusCell, status),
	}
}

// TestSwaggerInABrowser opens the page, tries POST /api/events on it, and looks at what the page asked of whom.
func TestSwaggerInABrowser(t *testing.T) {
	ctx := browser(t)
	s := serve(t)
	s.awaitReady()
	faults := watchPage(ctx, s)
	var title, status string
	var picture []byte
	err := chromedp.Run(ctx,
		chromedp.Navigate("http://"+s.addr+"/swagger"),
		chromedp.WaitVisible(postBlock),
		chromedp.Text(".info .title", &title, chromedp.ByQuery),
		tryPost(&status),
		chromedp.CaptureScreenshot(&picture),
	)
	if err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("NSF_TEST_SCREENSHOT"); path != "" {
		if err := os.WriteFile(path, picture, 0o600); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(title, "netstreamflow") || !strings.HasPrefix(strings.TrimSpace(status), "202") {
		t.Errorf("title %q, status %q", title, status)
	}
	eventually(t, "the event posted from the page", func() bool { return s.list("/api/events").Count == 1 })
	for _, f := range faults() {
		t.Error(f)
	}
}

// TestSwaggerAuthorises gives the page an API key, with which it then posts.
func TestSwaggerAuthorises(t *testing.T) {
	ctx := browser(t)
	key, entry := makeKey(t, "--name", "page", "--scopes", "events:write")
	file := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(file, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--auth", "api-key", "--api-keys", file)
	s.awaitReady()
	faults := watchPage(ctx, s)
	const field = `//div[contains(@class,"auth-container")][.//code[text()="apiKey"] or .//h4[contains(.,"apiKey")]]`
	var status string
	err := chromedp.Run(ctx,
		chromedp.Navigate("http://"+s.addr+"/swagger"),
		chromedp.WaitVisible(postBlock),
		chromedp.Click(`//div[contains(@class,"auth-wrapper")]//button[contains(@class,"authorize")]`),
		chromedp.WaitVisible(field+`//input`),
		chromedp.SendKeys(field+`//input`, key),
		chromedp.Click(field+`//button[contains(@class,"authorize")]`),
		chromedp.Click(`//button[contains(@class,"btn-done")]`),
		tryPost(&status),
	)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(strings.TrimSpace(status), "202") {
		t.Errorf("status %q", status)
	}
	for _, f := range faults() {
		t.Error(f)
	}
}
