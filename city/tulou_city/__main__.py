"""python -m tulou_city up | stop | status | token | demo | run; PORT, VAR, DATABASE_URL, AMQP_URI say which city."""

import argparse
import os
import sys

from tulou_city.services import SERVICES


def main(arguments: list[str]) -> None:
    """Runs one command. Each imports what it needs: a worker must not have imported what eventlet patches."""
    if arguments == ["worker"]:
        from tulou_chassis.worker import run

        return run(*(f"tulou_{service.name}.consumers:Worker" for service in SERVICES))

    from tulou_city import supervise, up
    from tulou_city.layout import city
    from tulou_city.tokens import ROLES, token

    parser = argparse.ArgumentParser(prog="python -m tulou_city", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--detach", action="store_true")
    for name in ("stop", "status", "demo", "worker"):
        commands.add_parser(name)
    asked = commands.add_parser("token")
    asked.add_argument("--role", choices=ROLES, default="citizen")
    asked.add_argument("--sub", default="", help="the subject (the role and -1)")
    asked.add_argument("--org", default="", help="department code (SCJG for staff, none for applicants)")
    asked.add_argument("--region", default="3506", help="division code (%(default)s)")
    asked.add_argument("--identity", default="", help="an applicant's identity number or credit code")
    by_hand = commands.add_parser("run", help="run a service's own command with the city's settings")
    by_hand.add_argument("service", choices=[service.name for service in SERVICES])
    by_hand.add_argument("words", nargs=argparse.REMAINDER, help="for example: audit verify")
    given = parser.parse_args(arguments)
    match given.command:
        case "up":
            up.up(city(), detach=given.detach)
        case "stop":
            ended = supervise.stop(city())
            print(f"Ended {ended} processes." if ended else "No city was running.")
        case "status":
            up.status(city())
        case "demo":
            from tulou_city.demo import demo

            demo(city())
        case "run":
            command = [sys.executable, "-m", f"tulou_{given.service}", *given.words]
            os.execve(sys.executable, command, os.environ | city().environment(given.service))
        case "token":
            who = {name: getattr(given, name) for name in ("role", "sub", "org", "region", "identity")}
            print(token(city(), **who))


if __name__ == "__main__":
    main(sys.argv[1:])
