package netstreamflow

import (
	"fmt"
	"regexp"
	"strings"
)

const pageHead = `# Configuration

Every setting is a flag of ` + "`netstreamflow serve`" + `, an environment variable and a key of a YAML file, under one name:
` + "`--publish-timeout 5s`, `NETSTREAMFLOW_PUBLISH_TIMEOUT=5s`, `publish-timeout: 5s`" + `. A flag goes before the environment, the
environment before the file (` + "`--config FILE`" + ` or ` + "`NETSTREAMFLOW_CONFIG`" + `), the file before the default. An unknown flag, key or
` + "`NETSTREAMFLOW_*`" + ` variable, or a bad value, also one that something else goes before, ends the program with status 2 and one line
that says why; so does a file in ` + "`NETSTREAMFLOW_CONFIG`" + ` that cannot be used, or a bad value in it, also beside ` + "`--config`" + `.
The file is one YAML mapping of names to single values, which are taken as they are written: ` + "`group: 0123`" + ` is 0123.

In place of a secret a reference to it may be given, such as ` + "`file:/run/secrets/kafka` or `vault://secret/kafka#password`" + `: see
[secrets.md](secrets.md). A variable with ` + "`_FILE`" + ` at its end names a file with the secret. A file or variable that a
reference names must be there and hold a secret: all else is a bad value. Secrets are never logged or shown.
` + "`netstreamflow config`" + ` prints the settings that are in effect, and where each comes from.

This page is made from the code.

| setting | default | meaning |
|---|---|---|
`

const pageTail = `
Traces are set by OpenTelemetry's own variables: [observability.md](observability.md) lists them.

## Parameters of Kafka URLs

Both ` + "`kafka://`" + ` and ` + "`confluent://`" + ` take a list of brokers, ` + "`host:port,host:port`" + `, and these parameters, such as in
` + "`kafka://kafka-1:9093?tls=true&sasl=SCRAM-SHA-512&username=events`" + `. The password is the setting ` + "`broker-password`" + `.

| parameter | meaning |
|---|---|
| ` + "`tls=true`" + ` | TLS to the brokers |
| ` + "`ca-file=PATH`" + ` | PEM file with the CAs to trust instead of the system's |
| ` + "`cert-file=PATH`, `key-file=PATH`" + ` | PEM files of the client's certificate and key |
| ` + "`tls-server-name=NAME`" + ` | the name that the brokers' certificate must have instead of the host's (` + "`kafka://`" + ` only) |
| ` + "`sasl=MECHANISM`" + ` | ` + "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`" + ` |
| ` + "`username=NAME`" + ` | the user of SASL |
| ` + "`client-id=NAME`" + ` | how this client names itself, ` + "`netstreamflow`" + ` if not given |
| ` + "`in-flight=N`" + ` | how many records of one partition may be delivered and not yet acked |
| ` + "`subscriber=NAME`" + ` | ` + "`ahead`" + `, which delivers ahead of acks, or ` + "`watermill`" + `, watermill-kafka's own, which has one record of a partition in hand and is much slower (` + "`kafka://`" + ` only) |

## Paths and parameters of the others

` + "`sqlite-log:PATH` and `sqlite:PATH`" + ` name a file; the folder that it is in is locked against other processes. The embedded log has
one partition. ` + "`postgres://user@host:5432/database`" + ` takes the parameters of PostgreSQL's own URLs, among them:

| parameter | meaning |
|---|---|
| ` + "`sslmode=MODE`" + ` | ` + "`disable`, `prefer` (if not given), `require`, `verify-ca` or `verify-full`" + `, which alone is safe from those in between |
| ` + "`sslrootcert=PATH`, `sslcert=PATH`, `sslkey=PATH`" + ` | PEM files of the CAs to trust, and of the client's certificate and key |
| ` + "`search_path=SCHEMA`" + ` | the schema to keep the tables in |
| ` + "`connect_timeout=SECONDS`" + ` | how long a new connection may take |
| ` + "`pool_max_conns=N`" + ` | how many connections queries may have, 8 if not given |
`

var backquoted = regexp.MustCompile("`([^`]*)`")

// ConfigurationPage is the text of docs/configuration.md.
func ConfigurationPage() string {
	cfg := DefaultConfig()
	cfg.LogFormat = formatText + "` on a terminal, else `" + formatJSON
	var b strings.Builder
	b.WriteString(pageHead)
	for _, s := range cfg.settings() {
		meaning := strings.ReplaceAll(backquoted.ReplaceAllString(s.usage, "$1"), "|", `\|`)
		if s.secret {
			meaning += " (secret)"
		}
		def := "`" + s.get() + "`"
		if s.get() == "" {
			def = "–"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", s.name, def, meaning)
	}
	b.WriteString(pageTail)
	return b.String()
}
