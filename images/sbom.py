"""Prints what an image is made of as CycloneDX 1.5 JSON: `sbom.py NAME VERSION < dpkg's status file`.

SOURCE_DATE_EPOCH is its time. The same packages give the same bytes.
"""

import json
import os
import platform
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from typing import Any

# Ours are on no package index.
OURS = "tulou-"


def python_package(found: Distribution) -> dict[str, Any]:
    """One installed distribution."""
    name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
    kind = "generic" if name.startswith(OURS) else "pypi"
    return _component(name, found.version, f"pkg:{kind}/{name}@{found.version}", _license(found))


def debian_packages(status: str) -> list[dict[str, Any]]:
    """The packages that dpkg's status file says are installed."""
    found = []
    for stanza in status.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
        if fields["Status"].endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version.replace(':', '%3A')}?arch={fields['Architecture']}"
            found.append(_component(name, version, purl.replace("+", "%2B"), ""))
    return found


def document(name: str, version: str, components: list[dict[str, Any]], time: datetime) -> dict[str, Any]:
    """The bill of materials of the image `name`, its components by their purl."""
    ordered = sorted({each["purl"]: each for each in components}.values(), key=lambda each: str(each["purl"]))
    listed = json.dumps([name, version, ordered], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, listed)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "container", "bom-ref": "image", "name": name, "version": version},
        },
        "components": ordered,
    }


def _component(name: str, version: str, purl: str, license_: str) -> dict[str, Any]:
    known = {"licenses": [{"license": {"name": license_}}]} if license_ else {}
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **known}


def _license(found: Distribution) -> str:
    about = found.metadata.json
    stated = str(about.get("license_expression") or about.get("license") or "")
    if not stated or "\n" in stated:
        stated = " AND ".join(
            each.rpartition(" :: ")[2] for each in about.get("classifier", []) if "License ::" in each
        )
    return stated


if __name__ == "__main__":
    python = platform.python_version()
    everything = [
        _component("python", python, f"pkg:generic/python@{python}", "PSF-2.0"),
        *map(python_package, distributions()),
        *debian_packages(sys.stdin.read()),
    ]
    time = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or 0), UTC)
    json.dump(document(sys.argv[1], sys.argv[2], everything, time), sys.stdout, indent=1, ensure_ascii=False)
    print()
