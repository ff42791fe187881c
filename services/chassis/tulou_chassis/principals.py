"""Who calls. Apart from the checking of tokens, so that a worker need not load it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Principal:
    """The caller as the token tells: its subject, roles, organisation (department code) and region (division code)."""

    subject: str
    roles: frozenset[str]
    organisation: str
    region: str
    name: str
