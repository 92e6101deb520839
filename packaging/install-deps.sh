#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing to build Tenure (`build`), to build and check it (`check`), or to measure it beside etcd and
# ZooKeeper (`bench`), on Debian 12. Asks dpkg first, so that a machine that has everything is neither changed nor asked
# for a password. Go is named where it is missing and not installed: Debian 12's is too old to build etcd.
set -eu

build_packages="meson ninja-build gcc libc6-dev pkg-config libuv1-dev libjansson-dev libinih-dev libmicrohttpd-dev
	libmd-dev scdoc python3 util-linux iproute2"
# The engines that tests and measurements run beside: ZooKeeper and its C client; etcd is built by Go.
engine_packages="zookeeper default-jre-headless libzookeeper-mt-dev"
check_packages="$build_packages libcmocka-dev python3-pytest clang clang-format clang-tidy cppcheck libclang-rt-14-dev
	universal-ctags e2fsprogs mount procps binutils bash bash-completion $engine_packages"
bench_packages="$build_packages $engine_packages"
go_at_least=1.26
needs_go=yes

case "${1-}" in
build)
	wanted=$build_packages
	needs_go=no
	;;
check) wanted=$check_packages ;;
bench) wanted=$bench_packages ;;
*)
	echo "usage: $0 build|check|bench" >&2
	exit 64
	;;
esac

if [ "$needs_go" = yes ]; then
	found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || found=
	if [ "$(printf '%s\n' "go$go_at_least" "$found" | sort -V | head -n 1)" != "go$go_at_least" ]; then
		echo "install-deps: Go $go_at_least or newer is needed on PATH to build etcd (here: ${found:-none});" \
			"Debian 12's is too old, so install it from its own site, then run this again" >&2
		exit 1
	fi
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "install-deps: no dpkg here, so nothing is installed. On Debian 12 the packages are:" $wanted >&2
	exit 0
fi

missing=
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
	as_root=sudo
else
	echo "install-deps: these Debian packages are missing, and this is neither root nor able to use sudo:" >&2
	echo "install-deps:   apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

echo "install-deps: installing$missing"
# env, because sudo drops the environment.
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
if ! { $apt update && $apt install -y --no-install-recommends $missing; }; then
	echo "install-deps: apt-get failed (see above); still needed:$missing" >&2
	exit 1
fi
