"""`python -m tulou_lodge <command>`: the server, the worker, and what operators run by hand.

Everything is imported where it is needed: the worker has to patch the standard library before anything else is there.
"""

import argparse

from tulou_chassis.lean import without_rich

COMMANDS = {
    "serve": "serve gRPC until told to stop",
    "work": "relay events, take events in, run timers until told to stop",
    "migrate": "bring the database to the newest schema",
    "audit": "verify: check the history chain of every note",
    "dead-letters": "list | show ID | replay ID: events that a handler gave up on",
}
VERBS = {"audit": ("verify",), "dead-letters": ("list", "show", "replay")}


def main() -> None:
    """Runs one command. Raises SystemExit with a message for whoever typed it."""
    parser = argparse.ArgumentParser(prog="python -m tulou_lodge")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in VERBS:
            command.add_argument("verb", choices=VERBS[name])
        if name == "migrate":
            command.add_argument("--seed", action="store_true", help="every service is asked so; nothing to load here")
        if name == "dead-letters":
            command.add_argument("id", nargs="?", type=int)
    given = parser.parse_args()
    if given.command == "work":
        from tulou_chassis.worker import run

        run("tulou_lodge.consumers:Worker")
        return

    from tulou_chassis.settings import read_settings
    from tulou_lodge.settings import LodgeSettings

    settings = read_settings(LodgeSettings)
    if given.command == "serve":
        without_rich()
        from tulou_lodge import server

        server.run(settings)
        return

    from tulou_lodge import commands as by_hand

    match (given.command, getattr(given, "verb", "")):
        case ("migrate", _):
            by_hand.migrate(settings)
        case ("audit", _):
            by_hand.verify_audit(settings)
        case ("dead-letters", verb):
            if verb != "list" and given.id is None:
                parser.error(f"dead-letters {verb} needs an ID")
            by_hand.dead_letters(settings, verb, given.id)


if __name__ == "__main__":
    main()
