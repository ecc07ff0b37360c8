package secret

import (
	"errors"
	"net/url"
	"slices"
)

var errParameter = errors.New("a parameter is unknown, or there twice")

// onlyParameters reads the parameters of a reference, each of which may be there once.
func onlyParameters(query string, known ...string) (url.Values, error) {
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for name, values := range parameters {
		if !slices.Contains(known, name) || len(values) > 1 || values[0] == "" {
			return nil, errParameter
		}
	}
	return parameters, nil
}
