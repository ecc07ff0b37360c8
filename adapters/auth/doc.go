// Package auth proves who calls, and who is called: it verifies tokens and API keys, keeps their keys current, and serves
// the certificates of TLS.
//
// What is read from a file is read again when the file has changed; what comes from the network is fetched again from time
// to time. Where a new state is broken or cannot be had, the last good one stays in use.
package auth
