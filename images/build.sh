#!/bin/bash
# build.sh NAME…: builds the image of each service named, and of the gateway, from var/images/wheels; no network is used.
set -eu
ENGINE=${ENGINE:-docker} REGISTRY=${REGISTRY:-tulou}
BASE=${BASE:-$REGISTRY/base}
cd "$(dirname "$0")/.."
ls var/images/wheels/*.whl >/dev/null 2>&1 || { echo "var/images/wheels is empty: make wheels" >&2; exit 1; }
VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The commit's time is the images' time: what is built again later is the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
CREATED=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
[ "$ENGINE" != podman ] || format=--format=docker # the OCI format has no HEALTHCHECK
image() { # image NAME
    local image=$REGISTRY/$1:$VERSION file=services/Dockerfile
    [ "$1" != gateway ] || file=gateway/Dockerfile
    echo "== $image on $BASE" >&2
    "$ENGINE" build -q --network none ${format:-} -f "$file" -t "$image" \
        --build-arg "BASE=$BASE" --build-arg "SERVICE=$1" --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" \
        --build-arg "CREATED=$CREATED" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" .
}
# The first one makes what all services share; the others need not wait for one another.
image "$1"
shift
made=()
for name; do image "$name" & made+=($!); done
for one in ${made[@]+"${made[@]}"}; do wait "$one"; done
