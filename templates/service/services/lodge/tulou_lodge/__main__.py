"""`python -m tulou_lodge <command>`: the server, the worker, and what operators run by hand.

Everything is imported where it is needed: the worker has to patch the standard library before anything else is there.
"""

import argparse

from tulou_chassis.arguments import instant
from tulou_chassis.lean import without_rich

COMMANDS = {
    "serve": "serve gRPC until told to stop",
    "work": "relay events, take events in, run timers until told to stop",
    "migrate": "bring the database to the newest schema",
    "audit": "verify: check the history chain of every note",
    "dead-letters": "list | show ID | replay ID: events that a handler gave up on",
    "events": "republish --since TIME | --after POSITION: have events published once more",
}
VERBS = {"audit": ("verify",), "dead-letters": ("list", "show", "replay"), "events": ("republish",)}


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
        if name == "events":
            which = command.add_mutually_exclusive_group(required=True)
            which.add_argument("--since", type=instant, metavar="TIME", help="like 2026-03-01T08:00+08:00")
            which.add_argument("--after", type=int, metavar="POSITION", help="0: all that there are")
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
        case ("events", _):
            by_hand.republish(settings, since=given.since, after=given.after)


if __name__ == "__main__":
    main()
