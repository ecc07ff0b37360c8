// Package limit holds callers to a quota with the generic cell rate algorithm, a token bucket that needs one number for each
// caller: how long it takes until nothing is owed any more. [Memory] keeps the numbers in this process, [Redis] in a server
// that instances share.
//
// # Accuracy
//
// In the long run nobody gets more than the quota's units in each window, whatever the sizes of requests. A caller at rest may
// take all of the quota at once. More than that is possible too, from a full quota: the caller then owes the rest.
package limit
