package main

import (
	"context"
	"os"
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
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	// Unlike the function that ends the context, this waits for the browser, whose files then go.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

// TestSwaggerInABrowser opens the page, tries POST /api/events on it, and looks at what the page asked of whom.
func TestSwaggerInABrowser(t *testing.T) {
	ctx := browser(t)
	s := serve(t)
	s.awaitReady()
	var mu sync.Mutex
	var faults []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, "http://"+s.addr+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "blob:") {
				faults = append(faults, "asked elsewhere: "+url)
			}
		case *runtime.EventExceptionThrown:
			faults = append(faults, "exception: "+e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				faults = append(faults, "console error: "+string(e.Args[0].Value))
			}
		}
	})
	const statusCell = `//table[contains(@class,"live-responses-table")]/tbody//td[contains(@class,"response-col_status")]`
	const post = `//div[contains(@class,"opblock-post")][.//span[@data-path="/api/events"]]`
	var title, status string
	var picture []byte
	err := chromedp.Run(ctx,
		chromedp.Navigate("http://"+s.addr+"/swagger"),
		chromedp.WaitVisible(post),
		chromedp.Text(".info .title", &title, chromedp.ByQuery),
		chromedp.Click(post+`//button[contains(@class,"opblock-summary-control")]`),
		chromedp.WaitVisible(post+`//button[contains(@class,"try-out__btn")]`),
		chromedp.Click(post+`//button[contains(@class,"try-out__btn")]`),
		chromedp.WaitVisible(post+`//button[contains(@class,"execute")]`),
		chromedp.Click(post+`//button[contains(@class,"execute")]`),
		chromedp.WaitVisible(post+statusCell),
		chromedp.Text(post+statusCell, &status),
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
	mu.Lock()
	defer mu.Unlock()
	for _, f := range faults {
		t.Error(f)
	}
}
