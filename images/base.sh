#!/bin/sh
# Builds the Debian base image, and stand-ins for PostgreSQL and RabbitMQ, from Debian packages alone: no registry is asked.
set -eu
ENGINE=${ENGINE:-docker} REGISTRY=${REGISTRY:-tulou} SUITE=${SUITE:-bookworm}
cd "$(dirname "$0")"
command -v mmdebstrap >/dev/null || { echo "make base needs mmdebstrap (Debian: apt-get install mmdebstrap)" >&2; exit 1; }

root() { # root IMAGE PACKAGES: imports a root file system with these packages
    echo "== $1: Debian $SUITE with $2" >&2
    mmdebstrap --quiet --variant=essential --include="$2" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
        --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt' \
        "$SUITE" - ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} | "$ENGINE" import - "$1"
}

root "$REGISTRY/base" python3-minimal,python3-venv,ca-certificates,libstdc++6,tzdata
