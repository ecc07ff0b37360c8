package application

// The scopes that a caller may have, as tokens and keys name them.
const (
	ScopeRead  = "events:read"
	ScopeWrite = "events:write"
	ScopeAdmin = "admin"
)

// The ways to show who calls.
const (
	ByToken = "jwt"
	ByKey   = "key"
)

// Caller is who makes a request, as a token or a key has proved it.
type Caller struct {
	// Means is how the caller was proved: ByToken or ByKey. The ID of the one may be that of somebody else by the other.
	Means string
	// ID names the caller: the subject of a token, or the name of a key.
	ID string
	// User is the userId of the events that are the caller's own.
	User string
	// Scopes may hold others than those above; they mean nothing here.
	Scopes []string
}
