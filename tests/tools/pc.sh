#!/bin/sh
# pc.sh PREFIX - the pkg-config file of an installed chanrt.h.
version=$(awk '$1 == "#define" && $2 == "CHANRT_VERSION" { gsub(/"/, "", $3); print $3 }' chanrt.h)
cat <<END
prefix=$1
includedir=\${prefix}/include

Name: chanrt
Description: Go's concurrency model for C in one header
Version: ${version:-0}
Cflags: -I\${includedir} -pthread
Libs: -pthread
END
