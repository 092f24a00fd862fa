// Package demo is the main job, told as a story and proven: requests go in
// over HTTP on one network, cross as real files, are answered from a real
// dataset on the other, and every answer is compared with that dataset read
// directly.
//
// It believes nothing that it has not checked: a run succeeds only if every
// answer is right, both logs and both mirrors verify, the read models of both
// sites are equal, and a damaged bundle is refused.
package demo
