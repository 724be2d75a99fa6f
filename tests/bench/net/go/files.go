package main

import (
	"net"
	"net/http"
)

// serveFiles is Go's own file server over a directory.
func serveFiles(l net.Listener, dir string) {
	panic(http.Serve(l, http.FileServer(http.Dir(dir))))
}
