"""Who calls. Apart from the checking of tokens, so that a worker need not load it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Principal:
    """The caller as the token tells: its subject, roles, organisation (department code) and region (division code).

    `identity` is the number the issuer verified: a citizen's resident identity number (公民身份号码), the unified
    social credit code (统一社会信用代码) an enterprise acts for. It is never logged and never stored in clear.
    """

    subject: str
    roles: frozenset[str]
    organisation: str
    region: str
    name: str
    identity: str = field(default="", repr=False)
