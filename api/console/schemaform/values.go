package schemaform

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Fill writes the values of an object into the fields. What has no field is
// left out, and what is no object changes nothing.
func (f *Form) Fill(object json.RawMessage) {
	f.each(object, func(field *Field, value json.RawMessage) { field.fill(value) })
}

// each calls do for the fields, in groups too, that an object has values for.
func (f *Form) each(object json.RawMessage, do func(*Field, json.RawMessage)) {
	eachOf(f.Fields, object, do)
}

func eachOf(fields []*Field, object json.RawMessage, do func(*Field, json.RawMessage)) {
	_, values, err := members(object)
	if err != nil {
		return
	}
	for _, field := range fields {
		value, ok := values[field.name]
		switch {
		case !ok:
		case field.Kind == Group:
			eachOf(field.Fields, value, do)
		default:
			do(field, value)
		}
	}
}

func (f *Field) fill(value json.RawMessage) { f.Value = f.written(value) }

func (f *Field) example(value json.RawMessage) { f.Example = f.written(value) }

// written is how a value is written into the field.
func (f *Field) written(value json.RawMessage) string {
	var text string
	if f.scalar == "string" && f.Kind != List && json.Unmarshal(value, &text) == nil {
		return text
	}
	if f.Kind == List {
		var items []json.RawMessage
		if json.Unmarshal(value, &items) != nil {
			return ""
		}
		lines := make([]string, len(items))
		for i, item := range items {
			if lines[i] = string(item); json.Unmarshal(item, &text) == nil && f.scalar == "string" {
				lines[i] = text
			}
		}
		return strings.Join(lines, "\n")
	}
	var b bytes.Buffer
	if f.Kind == JSON && json.Indent(&b, value, "", "  ") == nil {
		return b.String()
	}
	if b.Reset(); json.Compact(&b, value) != nil {
		return ""
	}
	return b.String()
}

// Read makes an object of what was written, which get gives by a field's
// Pointer, and leaves it in the fields. An empty field that is not required is
// no member.
func (f *Form) Read(get func(pointer string) string) json.RawMessage {
	object, _ := readFields(f.Fields, get)
	return object
}

func readFields(fields []*Field, get func(string) string) (object json.RawMessage, some bool) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, field := range fields {
		value, given := field.read(get)
		if !given {
			continue
		}
		if some {
			b.WriteByte(',')
		}
		some = true
		b.Write(quoted(field.name))
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), some
}

func (f *Field) read(get func(string) string) (value json.RawMessage, given bool) {
	if f.Kind == Group {
		object, some := readFields(f.Fields, get)
		return object, some || f.Required
	}
	f.Value = strings.ReplaceAll(get(f.Pointer), "\r\n", "\n")
	trimmed := strings.TrimSpace(f.Value)
	switch {
	case f.Kind == Text && (f.Value != "" || f.Required):
		return quoted(f.Value), true
	case f.Kind == List && (trimmed != "" || f.Required):
		return f.lines(trimmed), true
	case trimmed == "" && !(f.Required && f.Kind == Date):
		return nil, false
	case f.Kind == Date:
		return quoted(trimmed), true
	}
	return scalar(ascii.Replace(trimmed)), true
}

func (f *Field) lines(text string) json.RawMessage {
	var items []json.RawMessage
	for line := range strings.SplitSeq(text, "\n") {
		switch line = strings.TrimSpace(line); {
		case line == "":
		case f.scalar == "string":
			items = append(items, quoted(line))
		default:
			items = append(items, scalar(ascii.Replace(line)))
		}
	}
	if items == nil {
		return json.RawMessage("[]")
	}
	list, err := json.Marshal(items)
	if err != nil {
		return quoted(text)
	}
	return list
}

// ascii lets people write digits of their own.
var ascii = strings.NewReplacer("۰", "0", "۱", "1", "۲", "2", "۳", "3", "۴", "4", "۵", "5", "۶", "6", "۷", "7", "۸", "8", "۹", "9",
	"٠", "0", "١", "1", "٢", "2", "٣", "3", "٤", "4", "٥", "5", "٦", "6", "٧", "7", "٨", "8", "٩", "9", "٫", ".")

// scalar is what was written if that is JSON, else the text of it: whoever has
// the schema says what is wrong about it.
func scalar(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return quoted(text)
}

func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return json.RawMessage(`""`) // a string can always be encoded
	}
	return bytes.TrimSpace(b.Bytes())
}
