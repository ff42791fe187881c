#!/bin/sh
# build.sh NAME…: builds the image of each service named, and of the gateway, from var/images/wheels; no network is used.
set -eu
ENGINE=${ENGINE:-docker} REGISTRY=${REGISTRY:-tulou}
BASE=${BASE:-$REGISTRY/base}
cd "$(dirname "$0")/.."
VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ "$ENGINE" != podman ] || format=--format=docker # the OCI format has no HEALTHCHECK
for name in "$@"; do
    image=$REGISTRY/$name:$VERSION
    file=services/Dockerfile
    [ "$name" != gateway ] || file=gateway/Dockerfile
    echo "== $image on $BASE" >&2
    "$ENGINE" build -q --network none ${format:-} -f "$file" -t "$image" --build-arg "BASE=$BASE" --build-arg "SERVICE=$name" \
        --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" .
done
