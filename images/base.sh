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

# Purges what only the installation needed, or what no service calls; busybox takes the place of the tools. Debian's package list stays
# true, so scanners see what is there. The second list goes without scripts that would need what the first took.
SLIM='root=$1
purge() { dpkg --root="$root" --force-all --purge "$@" >/dev/null 2>&1; }
purge login libpam-runtime
purge libpam-modules libpam-modules-bin
purge libpam0g python3-distutils python3-lib2to3
purge bsdutils diffutils init-system-helpers ncurses-bin sysvinit-utils util-linux util-linux-extra \
    libaudit1 libaudit-common libblkid1 libcap-ng0 libgcrypt20 libgpg-error0 liblz4-1 libmount1 libsmartcols1 libsystemd0 libudev1 \
    debconf perl-base
purge bash coreutils dpkg findutils grep gzip hostname mawk sed tar \
    libacl1 libattr1 libgmp10 libmd0 libpcre2-8-0 libselinux1 libzstd1
rm -rf "$root"/etc/pam.d
(cd "$root"/usr/lib/python3.* && rm -rf distutils lib2to3 pydoc_data test __pycache__/pydoc.* __pycache__/turtle.*)
chroot "$root" /usr/bin/busybox --install -s
# Has not the options of the real one, for which callers take it; they know how to do without.
rm "$root"/usr/bin/setpriv'

[ "$ENGINE" != podman ] || format=--format=docker # the OCI format has no HEALTHCHECK
made=()
root "$REGISTRY/base" python3-minimal,python3-venv,ca-certificates,libstdc++6,tzdata,busybox \
    --dpkgopt='path-exclude=/usr/lib/*/gconv/*' --customize-hook="$SLIM" &
made+=($!)
standin postgres postgresql "$(user postgres /var/lib/postgresql)" \
    '--essential-hook=mkdir "$1"/etc/postgresql-common; echo create_main_cluster = false > "$1"/etc/postgresql-common/createcluster.conf' &
made+=($!)
standin rabbitmq rabbitmq-server "$(user rabbitmq /var/lib/rabbitmq)" &
made+=($!)
for one in "${made[@]}"; do wait "$one"; done
