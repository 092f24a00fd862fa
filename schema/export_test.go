package schema

// SurelyAccepts reports whether a schema's shape accepts parameters, so that
// the library is not asked.
func (p *Parameters) SurelyAccepts(params []byte) bool {
	doc, err := strictJSON(params, MaxParameters)
	return err == nil && p.shape.accepts(doc)
}
