package broker

// SetLimit has the letters keep track of no more than n; it is called before Run.
func (l *Letters) SetLimit(n int) { l.index.limit = n }
