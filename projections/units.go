package projections

import (
	"slices"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Unit is a set of read models that can be made anew only together, because
// one event changes rows of several of them, or removes them for the sake of
// others. Each model is a table of the schema readmodel.
type Unit struct {
	Models []string
	// Types are the events that change anything of it.
	Types []string
	// Inline keeps it, in this order.
	Inline []eventstore.Projection
}

// Units returns all read models that commit with their events.
func Units() []Unit {
	return []Unit{
		{[]string{"users"}, ofStream(userStream), of(applyUsers)},
		{[]string{"profiles"}, ofStream(profiles.stream), of(profiles.Apply)},
		{[]string{"request_types"}, ofStream(requestTypes.stream), of(requestTypes.Apply)},
		{[]string{"request_type_versions"}, ofStream(requestTypes.stream), of(applyTypeVersions)},
		{[]string{"responder_configs"}, ofStream(responderConfigs.stream), of(responderConfigs.Apply)},
		{[]string{"settings"}, ofStream(settings.stream), of(settings.Apply)},
		{[]string{"requests", "responses", "work", "retention"},
			slices.Concat(ofStream("request"), ofStream("response"), ofStream("work"), []string{domain.RetentionApplied{}.EventType()}),
			of(applyRevived, applyRequests, applyAsked, applyResponses, applyWork, applyRetention)},
		{[]string{"webhooks"}, ofStream("webhook"), of(applyWebhooks)},
		{[]string{"api_keys"}, ofStream("apikey"), of(applyAPIKeys)},
	}
}

// Inline returns what keeps the read models that commit with their events:
// users, profiles, request types and their versions, responder configurations,
// settings, requests, responses, analysts' work, webhooks, API keys, and what
// was cleared away of them.
func Inline() (all []eventstore.Projection) {
	for _, u := range Units() {
		all = append(all, u.Inline...)
	}
	return all
}

func of(apply ...project) (all []eventstore.Projection) {
	for _, a := range apply {
		all = append(all, a)
	}
	return all
}

func ofStream(stream string) (types []string) {
	for _, k := range domain.Catalogue() {
		if k.Stream == stream {
			types = append(types, k.Type)
		}
	}
	return types
}
