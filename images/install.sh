#!/bin/sh
# install.sh PATH…: links our packages under /app/PATH into /opt/tulou and installs what they need from /wheels. Runs in the build stage.
set -eu
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
if [ ! -e /pip ]; then
    python3 -m venv /pip
    /pip/bin/pip install hatchling grpcio-tools mypy-protobuf googleapis-common-protos
    python3 -m venv --without-pip /opt/tulou
fi
into() { /pip/bin/pip --python /opt/tulou/bin/python install "$@"; }
names=
for path in "$@"; do
    # The build's own tools stay in /pip: nothing of them gets into the image.
    PATH=/pip/bin:$PATH PYTHONPATH=$(echo /pip/lib/python3*/site-packages) into --no-compile --no-deps --no-build-isolation -e "/app/$path"
    names="$names tulou-${path##*/}"
done
into --no-compile $names
# The checkout's modes are somebody's umask; and what the stubs were made of is not read again.
chmod -R a+rX,go-w /app
rm -rf /app/protos/tulou /app/protos/*.py /app/protos/__pycache__ /app/protos/buf.yaml
