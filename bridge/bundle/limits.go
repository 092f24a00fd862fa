package bundle

// Limits bounds what is written and read. A field that is zero stands for the
// default of [DefaultLimits]; sizes are in bytes. A reader's limits must not be
// below its peers' writers', or it refuses what they may send.
type Limits struct {
	Manifest     int   // signed manifest: 4 MiB
	File         int64 // whole file: 256 MiB
	Lines        int   // lines after the bundle's own: 1,000,000
	Plain        int64 // decompressed payload: 2 GiB
	Line         int   // one line without its LF: 1 MiB
	RecordedLine int   // one line of type response.recorded: 16 MiB
	Frame        int   // decompressed frame of more than one line: 4 MiB
	Window       int   // zstd window a reader accepts: 8 MiB
	Depth        int   // nesting in a line: 64
}

// DefaultLimits gives the limits of bundle format 1.
func DefaultLimits() Limits {
	return Limits{
		Manifest:     4 << 20,
		File:         256 << 20,
		Lines:        1_000_000,
		Plain:        2 << 30,
		Line:         1 << 20,
		RecordedLine: 16 << 20,
		Frame:        4 << 20,
		Window:       8 << 20,
		Depth:        64,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	l.Manifest = or(l.Manifest, d.Manifest)
	l.File = or(l.File, d.File)
	l.Lines = or(l.Lines, d.Lines)
	l.Plain = or(l.Plain, d.Plain)
	l.Line = or(l.Line, d.Line)
	l.RecordedLine = or(l.RecordedLine, d.RecordedLine)
	l.Frame = or(l.Frame, d.Frame)
	l.Window = or(l.Window, d.Window)
	l.Depth = or(l.Depth, d.Depth)
	return l
}

// of gives the limits of one kind's lines: an entry of an archive has a line inside.
func (l Limits) of(k Kind) Limits {
	if k == Archive {
		l.RecordedLine = l.longestLine() + entryRoom
	}
	return l
}

// entryRoom is how much longer an entry is than its line, at most.
const entryRoom = 256

func or[T int | int64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// biggestFrame is the most a frame may decompress to: many short lines up to
// Frame, or one long line and its LF.
func (l Limits) biggestFrame() int {
	return max(l.Frame, l.longestLine()+1)
}

func (l Limits) longestLine() int { return max(l.Line, l.RecordedLine) }
