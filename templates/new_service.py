"""python templates/new_service.py NAME: copies the template in as a service, and says which entries it still needs."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from templates.entries import OTHERS, SHARED_PROTOS, missing

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATE: Final = ROOT / "templates/service"
# How the template's own service is called.
PLACEHOLDER: Final = "lodge"


def copy_service(name: str, root: Path = ROOT) -> list[Path]:
    """Copies the template into the repository at `root` as the service `name`; gives the files it made.

    Raises SystemExit where the name cannot be one or a file is there already; then nothing was copied.
    """
    if not re.fullmatch("[a-z][a-z0-9]{1,19}", name) or name in OTHERS | SHARED_PROTOS:
        raise SystemExit(f"{name!r} cannot be a service's name: two to twenty of a-z and 0-9, and none of ours")
    if find_spec("ruff") is None:
        raise SystemExit("This needs what developers use: make lint, then again")
    sources = [path for path in sorted(TEMPLATE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    copies = {root / _renamed(str(path.relative_to(TEMPLATE)), name): path for path in sources}
    if there := [str(path) for path in copies if path.exists()]:
        raise SystemExit(f"There is a service {name} already: {', '.join(there)}")
    for copy, source in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_renamed(source.read_text("utf-8"), name), "utf-8")
    # The order of imports and the breaks of lines depend on the name.
    code = [str(path) for path in copies if path.suffix == ".py"]
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "-q", *code], cwd=root, check=True)
    return list(copies)


def _renamed(text: str, name: str) -> str:
    return text.replace(PLACEHOLDER, name).replace(PLACEHOLDER.capitalize(), name.capitalize())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    for made in copy_service(sys.argv[1]):
        print(made.relative_to(ROOT))
    print("\nIt still needs these entries:")
    print("\n".join(missing(ROOT)))
