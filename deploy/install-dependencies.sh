#!/bin/sh
# Installs what icnn needs on Debian and Ubuntu; does nothing, quickly, where nothing is missing.
#
#   deploy/install-dependencies.sh             to build and to run: headers, pkg-config, MPI
#   deploy/install-dependencies.sh --runtime   to run a built icnn: shared libraries and mpirun only
#   deploy/install-dependencies.sh --container the same, and sshd for the workers of an MPIJob
#   deploy/install-dependencies.sh --checks    to build and to run everything that .ci/run does: also a browser for the
#                                              reports, Python for TensorBoard, ip for deploy/lab, shellcheck
#   deploy/install-dependencies.sh --deploy    to build, and what deploy/check-image and deploy/slurm/check want
#
# A Swift toolchain is expected to be there already (https://www.swift.org/install/linux).
set -eu

# Packages whose names differ between releases: the first that the archive knows is taken.
runtime_packages='
  openmpi-bin
  openssh-client
  libopenmpi3t64|libopenmpi3|libopenmpi40
  libopenblas0-pthread
  libturbojpeg0|libturbojpeg
  libexif12
  libpng16-16t64|libpng16-16
  libxxhash0
  libzip5|libzip4t64|libzip4
  libmatio13|libmatio11
  libstdc++6
'
build_packages='
  openmpi-bin
  openssh-client
  pkg-config
  libopenmpi-dev
  libopenblas-dev
  libturbojpeg0-dev
  libexif-dev
  libpng-dev
  libxxhash-dev
  libzip-dev
  libmatio-dev
'
check_packages='
  chromium
  chromium-driver|chromium-chromedriver
  iproute2
  python3-venv
  shellcheck
  systemd
'
deploy_packages='
  buildah
  debootstrap
  iproute2
  munge
  slurm-client
  slurmctld
  slurmd
  util-linux
'

usage() {
  echo "usage: $0 [--runtime | --container | --checks | --deploy]" >&2
  exit 64
}

packages=$build_packages
case $# in
  0) ;;
  1)
    case $1 in
      --runtime) packages=$runtime_packages ;;
      --container) packages="$runtime_packages openssh-server" ;;
      --checks) packages="$build_packages $check_packages" ;;
      --deploy) packages="$build_packages $deploy_packages" ;;
      *) usage ;;
    esac
    ;;
  *) usage ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "error: cannot install dependencies - no apt-get on this system - install the equivalents of:$packages" >&2
  exit 78
fi

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_available() {
  [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]
}

# Prints each entry of which no alternative is installed.
missing_entries() {
  for entry in $packages; do
    found=
    for name in $(echo "$entry" | tr '|' ' '); do
      if is_installed "$name"; then found=$name; fi
    done
    [ -n "$found" ] || echo "$entry"
  done
}

missing=$(missing_entries)
[ -n "$missing" ] || exit 0

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "error: cannot install dependencies - neither root nor sudo - let root run: $0" >&2
    exit 78
  fi
}

as_root apt-get update -qq

chosen=
for entry in $missing; do
  choice=
  for name in $(echo "$entry" | tr '|' ' '); do
    if [ -z "$choice" ] && is_available "$name"; then choice=$name; fi
  done
  if [ -z "$choice" ]; then
    echo "error: cannot install dependencies - the archive has none of: $entry -" \
      "enable the distribution's full archive (on Ubuntu: universe)" >&2
    exit 78
  fi
  chosen="$chosen $choice"
done

# shellcheck disable=SC2086 # one argument per package
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $chosen
