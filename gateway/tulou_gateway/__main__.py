"""python -m tulou_gateway render | run | drain | openapi | portal"""

import sys
from importlib import import_module

COMMANDS = {
    "render": "writes Envoy's configuration",
    "run": "runs Envoy with it",
    "drain": "lets Envoy finish its calls",
    "openapi": "writes the OpenAPI document",
    "portal": "serves the docs, traces and token pages",
}


def main(argv: list[str]) -> int:
    """Runs one subcommand with the arguments after it; each lives in the module of its name."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m tulou_gateway COMMAND [-h] …\n", file=sys.stderr)
        print("\n".join(f"  {name:<8} {text}" for name, text in COMMANDS.items()), file=sys.stderr)
        return 2
    import_module(f"tulou_gateway.{argv[0]}").main(argv[1:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
