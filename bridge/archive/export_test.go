package archive

// Keep bounds what is kept in memory to be given backward.
func (a *Archive) Keep(bytes int) { a.kept = bytes }
