// The echo server that ../run.sh compares with: a goroutine per connection, a buffer of 4 KiB.
package main

import (
	"net"
	"os"
)

func serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func main() {
	l, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[2])
	if err != nil {
		panic(err)
	}
	if os.Args[1] == "http" {
		serveFiles(l, os.Args[3])
		return
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serve(c)
	}
}
