package rest

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
	// ID names the caller: the subject of a token, or the name of a key.
	ID     string
	Scopes Scope
}

// Has says whether the principal has all of the scopes.
func (p Principal) Has(s Scope) bool { return p.Scopes&s == s }
