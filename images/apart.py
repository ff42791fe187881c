"""apart.py LISTED TARGET: copies below TARGET what is in /opt/tulou and not in the list: a service's own layer."""

import shutil
import sys
from pathlib import Path

listed = set(Path(sys.argv[1]).read_text().splitlines())
for path in sorted(Path("/opt/tulou").rglob("*")):
    if str(path) not in listed and not (path.is_dir() and not path.is_symlink()):
        target = Path(sys.argv[2]) / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
