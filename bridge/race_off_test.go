//go:build !race

package bridge_test

const underRace = 1
