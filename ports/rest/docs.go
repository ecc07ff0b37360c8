package rest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the pages
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/gorilla/mux"
	"github.com/swaggest/swgui/v5/static"
)

var (
	//go:embed openapi.yaml
	openAPI []byte
	//go:embed swagger/index.html
	swaggerPage []byte
	//go:embed swagger/start.js
	swaggerStart []byte
)

// versionMark is the version in openapi.yaml, which that of the program takes the place of.
const versionMark = "version: 0.0.0"

// pagePolicy lets the Swagger UI load itself and call this service, nothing else. The UI sets styles, and shows images
// that are in its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// nothingPolicy is for what is not a page.
const nothingPolicy = "default-src 'none'; frame-ancestors 'none'"

// document is something that does not change while the program runs.
type document struct {
	contentType string
	// body is nil where plain makes it, from packed, which is the same in gzip.
	body, packed []byte
	plain        func() ([]byte, error)
	etag         string
	policy       string
}

func newDocument(contentType string, body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{contentType: contentType, body: body, etag: base64.RawURLEncoding.EncodeToString(sum[:12]), policy: nothingPolicy}
}

// pack says that the body is packed. Few clients need it otherwise: it is unpacked for the first of those, once for all, as each
// may take its time to read it.
func (d *document) pack() {
	packed := d.body
	d.body, d.packed = nil, packed
	d.plain = sync.OnceValues(func() ([]byte, error) { return unpack(packed) })
}

// docs are the documents of the API, and what shows them.
type docs struct {
	page, json, yaml *document
	assets           map[string]*document
}

// newDocs makes the documents; means are the ways in which callers may show who they are.
func newDocs(version string, means []string) (*docs, error) {
	quoted := strconv.QuoteToASCII(version)
	text := withSchemes(bytes.Replace(openAPI, []byte(versionMark), []byte("version: "+quoted), 1), means)
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	d := &docs{
		page: newDocument("text/html; charset=utf-8", swaggerPage),
		json: newDocument("application/json", asJSON),
		yaml: newDocument("application/yaml", text),
	}
	d.page.policy = pagePolicy
	d.assets, err = swaggerAssets()
	return d, err
}

// assetTypes are the kinds of files that the Swagger UI consists of.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".png": "image/png",
}

// swaggerAssets reads the files of the Swagger UI that are part of the program.
func swaggerAssets() (map[string]*document, error) {
	assets := map[string]*document{"start.js": newDocument(assetTypes[".js"], swaggerStart)}
	files, err := fs.ReadDir(static.FS, ".")
	for _, f := range files {
		name, isPacked := strings.CutSuffix(f.Name(), ".gz")
		if assetTypes[path.Ext(name)] == "" {
			continue // a page for OAuth, which this API does not have
		}
		body, readErr := fs.ReadFile(static.FS, f.Name())
		asset := newDocument(assetTypes[path.Ext(name)], body)
		if isPacked {
			asset.pack()
		}
		assets[name] = asset
		err = errors.Join(err, readErr)
	}
	if err != nil {
		return nil, fmt.Errorf("read the files of the Swagger UI: %w", err)
	}
	return assets, nil
}

func (d *docs) resources() []*resource {
	return []*resource{
		{path: "/swagger", get: d.page.serve, public: true},
		{path: "/swagger/", get: d.page.serve, public: true},
		{path: "/swagger/{asset}", get: d.asset, public: true},
		{path: "/openapi.json", get: d.json.serve, public: true},
		{path: "/openapi.yaml", get: d.yaml.serve, public: true},
	}
}

func (d *docs) asset(w *answer, r *http.Request) error {
	asset := d.assets[unescaped(mux.Vars(r)["asset"])]
	if asset == nil {
		return newProblem(notFound, "there is nothing at this path")
	}
	return asset.serve(w, r)
}

// serve answers with the document, or with 304 to one who has it. It is not [http.ServeContent], whose errors are plain
// text.
func (d *document) serve(w *answer, r *http.Request) error {
	h := w.Header()
	body, tag := d.body, `"`+d.etag+`"`
	if d.packed != nil {
		addVary(h, varyEncoding)
		if takesGzip(r) {
			body, tag = d.packed, `"`+d.etag+`-gzip"`
			h["Content-Encoding"] = []string{"gzip"}
		}
	}
	h["Etag"] = []string{tag}
	h["Cache-Control"] = []string{"no-cache"} // may be kept, must be asked for again
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = []string{d.policy}
	if knows(r, tag) {
		delete(h, "Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if body == nil {
		var err error
		if body, err = d.plain(); err != nil {
			return err
		}
	}
	w.send(http.StatusOK, []string{d.contentType}, body)
	return nil
}

// takesGzip says whether the client takes gzip; one that says so with a weight of 0 gets the plain body.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header["Accept-Encoding"], ","), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return weightOf(params) > 0
		}
	}
	return false
}

// knows says whether the client has the document with the tag.
func knows(r *http.Request, tag string) bool {
	for known := range strings.SplitSeq(strings.Join(r.Header["If-None-Match"], ","), ",") {
		known = strings.TrimSpace(known)
		if known == "*" || strings.TrimPrefix(known, "W/") == tag {
			return true
		}
	}
	return false
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack a file of the Swagger UI: %w", err)
	}
	return io.ReadAll(z)
}
