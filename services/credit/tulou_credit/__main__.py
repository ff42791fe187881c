"""`python -m tulou_credit <command>`: the server, the worker, and what operators run by hand.

Everything is imported where it is needed: the worker has to patch the standard library before anything else is there.
"""

import argparse
from pathlib import Path

from tulou_chassis.arguments import instant
from tulou_chassis.lean import without_rich

COMMANDS = {
    "serve": "serve gRPC until told to stop",
    "work": "relay events, take events in, run imports and timers until told to stop",
    "migrate": "bring the database to the newest schema",
    "seed": "load record types that are not there yet",
    "import": "FILE --source DEPARTMENT: take a file of rows in; list: the newest; run --id ID: go on with one",
    "audit": "verify: check the history chain of subjects, records and proceedings",
    "dead-letters": "list | show ID | replay ID: events that a handler gave up on",
    "events": "republish --since TIME | --after POSITION: have events published once more",
    "keys": "fresh: make a new primary key; rotate: encrypt all that is sealed with the primary key",
}
VERBS = {
    "audit": ("verify",),
    "dead-letters": ("list", "show", "replay"),
    "events": ("republish",),
    "keys": ("fresh", "rotate"),
}


def main() -> None:
    """Runs one command. Raises SystemExit with a message for whoever typed it."""
    parser = argparse.ArgumentParser(prog="python -m tulou_credit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in VERBS:
            command.add_argument("verb", choices=VERBS[name])
        if name == "migrate":
            command.add_argument("--seed", action="store_true", help="and then seed, which saves a second start")
        if name == "dead-letters":
            command.add_argument("id", nargs="?", type=int)
        if name == "events":
            which = command.add_mutually_exclusive_group(required=True)
            which.add_argument("--since", type=instant, metavar="TIME", help="like 2026-03-01T08:00+08:00")
            which.add_argument("--after", type=int, metavar="POSITION", help="0: all that there are")
        if name == "import":
            command.add_argument("file", metavar="FILE | list | run", help="./list is a file of that name")
            command.add_argument("--source", help="code of the department that sends the file")
            command.add_argument("--encoding", help="of a text file: utf-8, gb18030, utf-16-le or utf-16-be")
            command.add_argument("--quarantine", type=Path, metavar="OUT.csv", help="where to write rows not taken")
            command.add_argument("--id", help="the import to run")
            command.add_argument("--holder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.command == "work":
        from tulou_chassis.worker import run

        run("tulou_credit.consumers:Worker")
        return

    from tulou_chassis.settings import read_settings
    from tulou_credit.settings import CreditSettings

    settings = read_settings(CreditSettings)
    if given.command == "serve":
        without_rich()
        from tulou_credit import server

        server.run(settings)
        return

    from tulou_credit import commands as by_hand

    match (given.command, getattr(given, "verb", "")):
        case ("migrate", _):
            by_hand.migrate(settings)
            if given.seed:
                by_hand.seed(settings)
        case ("seed", _):
            by_hand.seed(settings)
        case ("audit", _):
            by_hand.verify_audit(settings)
        case ("keys", verb):
            by_hand.rotate_keys(settings, fresh=verb == "fresh")
        case ("dead-letters", verb):
            if verb != "list" and given.id is None:
                parser.error(f"dead-letters {verb} needs an ID")
            by_hand.dead_letters(settings, verb, given.id)
        case ("events", _):
            by_hand.republish(settings, since=given.since, after=given.after)
        case ("import", _) if given.file == "list":
            by_hand.show_imports(settings)
        case ("import", _) if given.file == "run":
            if given.id is None:
                parser.error("import run needs --id ID")
            without_rich()
            by_hand.run_import(settings, given.id, given.holder)
        case ("import", _):
            from tulou_credit.intake.formats import Encoding

            if given.source is None:
                parser.error("import FILE needs --source DEPARTMENT")
            if given.encoding not in (None, *Encoding):
                parser.error(f"--encoding is one of {', '.join(Encoding)}")
            by_hand.import_file(
                settings,
                Path(given.file),
                source=given.source,
                encoding=Encoding(given.encoding) if given.encoding else None,
                quarantined=given.quarantine,
            )


if __name__ == "__main__":
    main()
