//go:build race

package bridge_test

// underRace is how much fewer schedules are played under the race detector, where each takes four times as long: what can race
// shows in a tenth of them. `make test` plays them all without it.
const underRace = 10
