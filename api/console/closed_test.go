package console

import "sallyport/domain"

// closedOfOperators are the lists that templates of operators' pages make keys of.
func closedOfOperators() map[string][]string {
	next := []string{"return", "settle-refusal", "settle-stop", "upgrade", "upgrade-peer", "bring-medium", "carry", "fetch-again", "fetch", "decide", "nothing"}
	return map[string][]string{
		"bundle.direction.%s": directions, "bundle.name.%s": directions, "bundle.begun.%s": directions, "bundle.ended.%s": directions,
		"bundle.state.%s": bundleStates, "bundle.state.%s.means": bundleStates, "refusal.%s": refusals, "refusal.%s.next": refusals,
		"exchange.upload.%s": uploadStates, "exchange.outcome.%s": outcomeStates, "exchange.kind.%s": exportKinds,
		"next.%s": next, "next.%s.short": next, "link.lead.%s": {string(domain.RequestSite), string(domain.ResponseSite)},
		"work.state.%s": {"open", "claimed", "closed"}, "age.%s": {"minutes", "hours", "days"},
		"schedule.state.%s": {"never", "running", "failed", "done"},
	}
}
