#!/bin/bash
# Builds the Debian base image, and stand-ins for PostgreSQL and RabbitMQ, from Debian packages alone: no registry is asked.
set -euo pipefail
ENGINE=${ENGINE:-docker} REGISTRY=${REGISTRY:-tulou} SUITE=${SUITE:-bookworm}
cd "$(dirname "$0")"
command -v mmdebstrap >/dev/null || { echo "make base needs mmdebstrap (Debian: apt-get install mmdebstrap)" >&2; exit 1; }

root() { # root IMAGE PACKAGES OPTION…: imports a Debian with these packages
    local image=$1 packages=$2
    shift 2
    echo "== $image: Debian $SUITE with ${packages//,/, }" >&2
    # usr-is-merged: its alternative usrmerge would bring all of Perl.
    mmdebstrap --quiet --variant=essential --include="usr-is-merged,$packages" \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
        --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/*.log "$1"/var/log/apt "$1"/var/lib/apt' \
        "$@" "$SUITE" - ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} | "$ENGINE" import - "$image" >/dev/null
}

user() { # user NAME HOME: gives the packages' user the number that the official images have
    echo "--essential-hook=echo $1:x:999:999::$2:/bin/bash >> \"\$1\"/etc/passwd; echo $1:x:999: >> \"\$1\"/etc/group"
}

standin() { # standin NAME PACKAGES OPTION…
    local image=$REGISTRY/$1:standin
    root "$REGISTRY/$1:packages" "${@:2}"
    "$ENGINE" build -q --network none ${format:-} -t "$image" --build-arg "BASE=$REGISTRY/$1:packages" "$1"
    "$ENGINE" rmi "$REGISTRY/$1:packages" >/dev/null
}

[ "$ENGINE" != podman ] || format=--format=docker # the OCI format has no HEALTHCHECK
root "$REGISTRY/base" python3-minimal,python3-venv,ca-certificates,libstdc++6,tzdata
standin postgres postgresql "$(user postgres /var/lib/postgresql)" \
    '--essential-hook=mkdir "$1"/etc/postgresql-common; echo create_main_cluster = false > "$1"/etc/postgresql-common/createcluster.conf'
standin rabbitmq rabbitmq-server "$(user rabbitmq /var/lib/rabbitmq)"
