package domain

import "fmt"

// maxUnknown is how many unknown members are reported one by one: a body has room for a hundred thousand of them.
const maxUnknown = 15

// DecodeDraft reads an event from the text of a JSON object. Unknown members are refused. The error is an
// [*InvalidError]: malformed input is reported at its first fault, wrong values all together.
//
// The draft's Metadata may share memory with text.
func DecodeDraft(text []byte) (Draft, error) {
	d := decoder{scanner: scanner{text: text}}
	d.space()
	if d.peek() != '{' {
		return Draft{}, d.notObject()
	}
	err := d.object(d.member)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return Draft{}, err
	}
	if v := d.violations(); len(v) > 0 {
		return Draft{}, &InvalidError{Violations: v}
	}
	return d.draft, nil
}

// decoder reads a draft, and gathers what is wrong with its well-formed members.
type decoder struct {
	scanner

	draft Draft
	wrong []Violation
	// unknown counts the unknown members.
	unknown int
}

// notObject tells a value of another kind from text that is not JSON.
func (d *decoder) notObject() error {
	err := d.value()
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return err
	}
	return Invalid("", mustBeObject)
}

// member reads the value of the named member.
func (d *decoder) member(name []byte) *InvalidError {
	switch string(name) {
	case "eventId":
		return d.setID()
	case "userId":
		return d.setText("/userId", &d.draft.UserID)
	case "eventType":
		return d.setText("/eventType", &d.draft.EventType)
	case "timestamp":
		return d.setTimestamp()
	case "metadata":
		return d.setMetadata()
	}
	if d.unknown++; d.unknown <= maxUnknown {
		d.refuse(pointerTo(string(name)), "is unknown: eventId, userId, eventType, timestamp and metadata are allowed")
	}
	return d.value()
}

func (d *decoder) refuse(pointer, detail string) {
	d.wrong = append(d.wrong, Violation{pointer, detail})
}

// textAt reads the string at the pointer. A value of another kind is refused.
func (d *decoder) textAt(pointer string) (text []byte, ok bool, err *InvalidError) {
	if d.peek() != '"' {
		d.refuse(pointer, "must be a string")
		return nil, false, d.value()
	}
	text, escaped, err := d.str()
	if err == nil && escaped {
		text = unescape(text)
	}
	return text, err == nil, err
}

func (d *decoder) setText(pointer string, to *string) *InvalidError {
	text, _, err := d.textAt(pointer)
	*to = string(text)
	return err
}

func (d *decoder) setID() *InvalidError {
	const pointer = "/eventId"
	text, ok, err := d.textAt(pointer)
	if !ok {
		return err
	}
	if d.draft.ID, ok = parseUUID(text); !ok {
		d.refuse(pointer, uuidRule)
	}
	return nil
}

func (d *decoder) setTimestamp() *InvalidError {
	const pointer = "/timestamp"
	text, ok, err := d.textAt(pointer)
	if !ok {
		return err
	}
	if d.draft.Timestamp, ok = parseTimestamp(text); !ok {
		d.refuse(pointer, timestampRule)
	}
	d.draft.dated = ok
	return nil
}

func (d *decoder) setMetadata() *InvalidError {
	if d.peek() != '{' {
		d.refuse("/metadata", mustBeObject)
		return d.value()
	}
	start, spaces := d.pos, d.spaces
	if err := d.value(); err != nil {
		return err
	}
	metadata := d.text[start:d.pos:d.pos]
	if d.spaces > spaces {
		metadata = compact(metadata)
	}
	d.draft.Metadata, d.draft.checked = metadata, metadata
	return nil
}

// violations lists what is wrong: what the decoder met, then the rules' faults in members that it let pass.
func (d *decoder) violations() []Violation {
	if len(d.wrong) == 0 {
		return nil // the rules are checked when the draft becomes an event
	}
	known := make(map[string]bool, len(d.wrong))
	for _, v := range d.wrong {
		known[v.Pointer] = true
	}
	for _, v := range d.draft.Violations() {
		if !known[v.Pointer] {
			d.wrong = append(d.wrong, v)
		}
	}
	if more := d.unknown - maxUnknown; more > 0 {
		d.refuse("", fmt.Sprintf("has %d more unknown members", more))
	}
	return d.wrong
}

const mustBeObject = "must be a JSON object"

// compactObject returns the strict JSON object in text without insignificant space; none at all is nil. It is the
// event's metadata.
func compactObject(text []byte) ([]byte, *InvalidError) {
	if len(text) == 0 {
		return nil, nil
	}
	s := &scanner{text: text, depth: 1}
	s.space()
	isObject := s.peek() == '{'
	err := s.value()
	if err == nil {
		err = s.end()
	}
	if err == nil && !isObject {
		err = Invalid("", mustBeObject)
	}
	if err != nil {
		return nil, err.within("metadata")
	}
	return compact(text), nil
}
