package dev

import (
	"context"
	"encoding/json"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
)

// opinion is a request type that a person answers. It is not public, so that who
// asks for everything is not left waiting for one: the administrator may ask.
var opinion = domain.DefineRequestType{Name: "opinion", Title: "An opinion about an airport",
	Description: "What an analyst thinks about a plan for an airport. Answered by a person.",
	Parameters: json.RawMessage(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["iata", "plan"],
  "properties": {
    "iata": {"type": "string", "maxLength": 3, "pattern": "^[A-Z]{3}$", "description": "IATA code, three capital letters"},
    "plan": {"type": "string", "minLength": 1, "maxLength": 2000}
  },
  "examples": [{"iata": "INN", "plan": "a night flight on Sundays"}]
}`)}

var opinionTask = domain.ManualTask{Instructions: "Say whether the plan can be carried out, and why.",
	ResultSchema: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["verdict","because"],` +
		`"properties":{"verdict":{"enum":["yes","no","perhaps"]},"because":{"type":"string","minLength":1,"maxLength":2000}}}`)}

func (s *Stack) defineOpinion(ctx context.Context, by commands.By) error {
	if _, _, err := s.Core.Commands.DefineRequestType(ctx, by, opinion); boot.Existing(err) != nil {
		return err
	}
	if _, _, err := s.Core.Commands.ConfigureResponder(ctx, by, opinion.Name, domain.ResponderConfigured{Kind: domain.ResponderManual, Task: &opinionTask}, 0); err != nil {
		return err
	}
	admin, err := s.Core.Reader.UserByName(ctx, "admin")
	if err != nil {
		return err
	}
	_, _, err = s.Core.Commands.ChangeUser(ctx, by, commands.UserChange{ID: admin.ID,
		Command: domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: opinion.Name}}})
	return err
}
