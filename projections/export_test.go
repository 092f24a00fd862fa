package projections

import "time"

// SetEvery sets how often a directory looks by itself.
func (d *Directory) SetEvery(every time.Duration) { d.every = every }
