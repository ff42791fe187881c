#!/bin/sh
# Fetches every package of requirements.lock as a wheel for the base image's Python into var/images/wheels, checked by hash.
set -eu
ENGINE=${ENGINE:-docker} BASE=${BASE:-${REGISTRY:-tulou}/base}
cd "$(dirname "$0")/.."
mkdir -p var/images/wheels
bundle=${PIP_CERT:-${SSL_CERT_FILE:-}}
set -- --rm --network host -v "$PWD/requirements.lock:/requirements.lock:ro" -v "$PWD/var/images/wheels:/wheels"
[ -z "$bundle" ] || set -- "$@" -v "$(realpath "$bundle"):/ca.crt:ro" -e PIP_CERT=/ca.crt
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    set -- "$@" -e "$name"
done
echo "== wheels of requirements.lock for $BASE" >&2
"$ENGINE" run "$@" --entrypoint sh "$BASE" -euc '
    python3 -m venv /tmp/pip
    /tmp/pip/bin/pip wheel -q --disable-pip-version-check --no-cache-dir --require-hashes -r /requirements.lock -w /tmp/wheels
    rm -f /wheels/*.whl
    cp /tmp/wheels/*.whl /wheels/
    chown -R "$(stat -c %u:%g /wheels)" /wheels'
echo "== $(ls var/images/wheels | wc -l) wheels in var/images/wheels" >&2
