// Package sqlitelog x.
package sqlitelog
