#!/bin/sh
# install.sh install|uninstall - the header, its manual pages, and what pkg-config and CMake read,
# under $DESTDIR$PREFIX. The manual is made from the header.
set -eu
cd "$(dirname "$0")/../.."
PREFIX=${PREFIX:-/usr/local} B=${B:-build}
dest=${DESTDIR:-}$PREFIX
version=$(sed -n 's/^#define CHANRT_VERSION "\(.*\)"/\1/p' chanrt.h)
cmake=$dest/share/cmake/chanrt

rm -rf "$B/man"
mkdir -p "$B/man"
awk -v dir="$B/man" -f tests/tools/man.awk chanrt.h chanrt.h

if [ "$1" = uninstall ]; then
    for page in "$B"/man/*.3; do rm -f "$dest/share/man/man3/${page##*/}"; done
    rm -f "$dest/include/chanrt.h" "$dest/share/pkgconfig/chanrt.pc" "$cmake"/chanrtConfig*.cmake
    [ ! -d "$cmake" ] || rmdir "$cmake"
    exit
fi

install -d "$dest/include" "$dest/share/pkgconfig" "$dest/share/man/man3" "$cmake"
install -m 644 chanrt.h "$dest/include/"
install -m 644 "$B"/man/*.3 "$dest/share/man/man3/"
cat >"$dest/share/pkgconfig/chanrt.pc" <<END
prefix=$PREFIX
includedir=\${prefix}/include

Name: chanrt
Description: Go's concurrency model for C in one header
Version: $version
Cflags: -I\${includedir} -pthread
Libs: -pthread
END
cat >"$cmake/chanrtConfig.cmake" <<'END'
# find_package(chanrt) gives the target chanrt::chanrt.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(chanrt_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET chanrt::chanrt)
    add_library(chanrt::chanrt INTERFACE IMPORTED)
    set_target_properties(chanrt::chanrt PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${chanrt_prefix}/include"
        INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()
END
cat >"$cmake/chanrtConfigVersion.cmake" <<END
set(PACKAGE_VERSION $version)
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
    if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
endif()
END
chmod 644 "$dest/share/pkgconfig/chanrt.pc" "$cmake"/*.cmake
