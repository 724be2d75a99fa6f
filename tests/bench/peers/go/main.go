// The rows of ../../rows.def in Go: same work, same sizes, same checksums, same output line.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is one run of one row. A row may call begin again after its setup and end before its
// teardown; it sets ops when an operation is not one of n, and value when the number to report
// is not time divided by operations.
type bench struct {
	n       int64
	a, b, c int
	ops     float64
	value   float64

	wall, cpu           time.Duration
	wallStart, cpuStart time.Duration
	stopped             bool
}

var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (b *bench) begin() {
	b.cpuStart = cpuTime()
	b.wallStart = now()
	b.stopped = false
}

func (b *bench) end() {
	if b.stopped {
		return
	}
	b.wall = now() - b.wallStart
	b.cpu = cpuTime() - b.cpuStart
	b.stopped = true
}

// statusKiB adds up fields of /proc/self/status.
func statusKiB(fields ...string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	var sum int64
	for _, line := range strings.Split(string(text), "\n") {
		for _, f := range fields {
			if strings.HasPrefix(line, f+":") {
				kib, _ := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
				sum += kib
			}
		}
	}
	return sum
}

type row struct {
	name    string
	run     func(*bench) uint64
	a, b, c int
}

func find(name string) *row {
	for i := range rows {
		if rows[i].name == name {
			return &rows[i]
		}
	}
	return nil
}

func main() {
	if len(os.Args) == 1 {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	r := find(os.Args[1])
	if r == nil || len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bench [ROW N]   (no arguments: the rows)")
		os.Exit(2)
	}
	n, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil || n < 1 {
		fmt.Fprintln(os.Stderr, "bench: N is a positive number")
		os.Exit(2)
	}
	if r.name == "foreign" || strings.HasPrefix(r.name, "wake_") {
		runtime.LockOSThread()
	}
	b := &bench{n: n, a: r.a, b: r.b, c: r.c, ops: float64(n)}
	b.begin()
	sum := r.run(b)
	b.end()
	value := b.value
	if value == 0 {
		value = float64(b.wall.Nanoseconds()) / b.ops
	}
	fmt.Printf("%s %.2f %.2f %d %d\n", r.name, value, float64(b.cpu.Nanoseconds())/b.ops,
		statusKiB("VmHWM"), sum)
}
