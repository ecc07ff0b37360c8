package rest

import "github.com/netstreamflow/netstreamflow/application"

// Scope is what a caller may do; scopes are added by |.
type Scope uint8

// The scopes, by the names that a token or a key gives them.
const (
	ScopeRead  Scope = 1 << iota // events:read
	ScopeWrite                   // events:write
	ScopeAdmin                   // admin
)

// Principal is who makes a request. The zero value is nobody, who may do nothing.
type Principal struct {
	// Means is how the caller has shown who it is, such as [application.ByToken]; it tells those apart who have the same ID.
	Means string
	// ID names the caller: the subject of a token, or the name of a key.
	ID string
	// User is the userId of the events that are the caller's own.
	User   string
	Scopes Scope
}

// PrincipalOf returns the caller with those scopes that mean something here.
func PrincipalOf(c application.Caller) Principal {
	p := Principal{Means: c.Means, ID: c.ID, User: c.User}
	for _, name := range c.Scopes {
		for i, known := range scopeNames {
			if name == known {
				p.Scopes |= 1 << i
			}
		}
	}
	return p
}

// scopeNames are in the order of the bits.
var scopeNames = [...]string{application.ScopeRead, application.ScopeWrite, application.ScopeAdmin}

// String is the name of one scope.
func (s Scope) String() string {
	for i, name := range scopeNames {
		if s == 1<<i {
			return name
		}
	}
	return ""
}

// Has says whether the principal has all of the scopes.
func (p Principal) Has(s Scope) bool { return p.Scopes&s == s }
