package main

import (
	"fmt"
	"os/exec"
	"syscall"
)

// endWithUs has the kernel end the process when this program ends, however it does.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// mount puts a small file system on the folder, which mostly takes root.
func mount(folder string) error {
	if err := syscall.Mount("faults", folder, "tmpfs", 0, "size=256m"); err != nil {
		return fmt.Errorf("a small file system cannot be mounted: %w", err)
	}
	return nil
}

func unmount(folder string) error {
	if err := syscall.Unmount(folder, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", folder, err)
	}
	return nil
}
