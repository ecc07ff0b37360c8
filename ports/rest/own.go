package rest

import (
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const foreignUser = "the caller may only write and read events of its own user"

// bound says whether the caller has to do with events of its own user only.
func (a *api) bound(w *answer) bool { return a.OwnUser && !w.principal.Has(ScopeAdmin) }

// mayWrite says whether the caller may write events of the user. That one is missing is for the rules of events to say.
func (a *api) mayWrite(w *answer, user string) error {
	if !a.bound(w) || user == "" || user == w.principal.User {
		return nil
	}
	return newProblem(forbidden, foreignUser, fault{"", "/userId", "must be the caller's own user"})
}

// refuseForeign puts an error in the place of what the caller may not write.
func (a *api) refuseForeign(w *answer, candidates []application.Candidate) {
	if !a.bound(w) {
		return
	}
	for i := range candidates {
		if c := &candidates[i]; c.Err == nil {
			c.Err = a.mayWrite(w, c.Draft.UserID)
		}
	}
}

// ownQuery has the query select what the caller may read.
func (a *api) ownQuery(w *answer, q *application.Query) error {
	if !a.bound(w) {
		return nil
	}
	if q.UserID == "" {
		q.UserID = w.principal.User
	}
	if q.UserID != w.principal.User {
		return newProblem(forbidden, foreignUser)
	}
	return nil
}

// mayRead says whether the caller may read the event; what it may not is not there.
func (a *api) mayRead(w *answer, event []byte) error {
	if !a.bound(w) {
		return nil
	}
	draft, err := domain.DecodeDraft(event)
	if err != nil {
		return err
	}
	if draft.UserID != w.principal.User {
		return newProblem(notFound, "")
	}
	return nil
}
