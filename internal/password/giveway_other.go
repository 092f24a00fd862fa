//go:build !linux

package password

import "syscall"

func ownSession() *syscall.SysProcAttr { return nil }

// giveWay does nothing: elsewhere a process is as nice as all others.
func giveWay() {}
