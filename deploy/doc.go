// Package deploy holds what puts sallyport into service. It has no code, only tests that hold the promises of the
// files: of docker-compose.yml and the scripts in compose that its services run.
package deploy
