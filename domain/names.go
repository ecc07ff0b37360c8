package domain

import "bytes"

// nameSet holds the names of one object. The first ones are compared one by one, which allocates nothing and is faster
// for the few that most objects have.
type nameSet struct {
	first [16][]byte
	count int
	all   map[string]struct{}
}

// add says whether the name is new.
func (n *nameSet) add(name []byte) bool {
	if n.count < len(n.first) {
		for _, known := range n.first[:n.count] {
			if bytes.Equal(known, name) {
				return false
			}
		}
		n.first[n.count] = name
		n.count++
		return true
	}
	if n.all == nil {
		n.all = make(map[string]struct{}, 2*len(n.first))
		for _, known := range n.first {
			n.all[string(known)] = struct{}{}
		}
	}
	before := len(n.all)
	n.all[string(name)] = struct{}{}
	return len(n.all) > before
}
