"""Tokens of the city's own issuer."""

from typing import Final

from tulou.options.v1.access_pb2 import Role
from tulou_city.layout import City
from tulou_gateway.tokens import mint

ROLES: Final = tuple(name.removeprefix("ROLE_").lower() for name in Role.keys()[1:])
APPLICANTS: Final = ("citizen", "enterprise")


def token(city: City, *, role: str, sub: str = "", org: str = "", region: str = "3506", identity: str = "") -> str:
    """A token for one hour. `org` is a department's code; staff without one gets SCJG's, the demo's department.
    `identity` is an applicant's identity number or credit code.

    Raises SystemExit when the city has never been started.
    """
    pem = city.var / "secrets/issuer.pem"
    if not pem.exists():
        raise SystemExit(f"There is no key at {pem}: start the city once with make up")
    environment = city.environment("token")
    return mint(
        pem.read_bytes(),
        issuer=environment["TULOU_OIDC_ISSUER"],
        audience=environment["TULOU_OIDC_AUDIENCE"],
        subject=sub or f"{role}-1",
        roles=[role],
        org=org or ("" if role in APPLICANTS else "SCJG"),
        region=region,
        name=sub or f"{role}-1",
        identity=identity,
    )
