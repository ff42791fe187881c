"""Keys are changed under living firms, and none of them notices."""

import json
import shutil
from contextlib import closing
from dataclasses import replace
from typing import Final

from e2e.api_cases import Run
from e2e.clients import HttpClient, Refused
from e2e.containers.load import living
from e2e.containers.rolling import restart
from e2e.containers.stack import Containers, mount, publish
from e2e.eventually import eventually
from e2e.tokens import Tokens
from tulou_chassis.keyring import add_key
from tulou_city.services import SERVICES
from tulou_gateway.tokens import create_issuer

# The gateway asks for the issuer's keys every minute.
KEYS_SECONDS: Final = 120
PROCESSES: Final = tuple(service.name + role for service in SERVICES for role in ("", "-worker"))


def test_tokens_and_rows_move_to_new_keys_and_nobody_notices(city: Containers) -> None:
    secrets, new = city.var / "secrets", city.var / "next/secrets"
    create_issuer(new)
    old_tokens, new_tokens = Tokens(city), Tokens(replace(city, var=new.parent))
    old_jwk, new_jwk = (json.loads((folder / "jwks.json").read_text())["keys"][0] for folder in (secrets, new))
    keyring = secrets / "keyring.json"
    old_key, new_key = json.loads(keyring.read_text())["primary"], add_key(keyring)
    content = json.loads(keyring.read_text())

    def seal_with(key: str) -> None:
        keyring.write_text(json.dumps(content | {"primary": key}))
        mount(city, "keyring.json")
        restart(city, *PROCESSES)

    with living(city) as load, closing(HttpClient(city.url)) as client:
        # Everyone must know a new key before anyone uses it.
        publish(city, {"keys": [old_jwk, new_jwk]})
        seal_with(old_key)
        eventually(lambda: taken(client, new_tokens), seconds=KEYS_SECONDS)
        load.use(new_tokens)
        for name in ("issuer.pem", "jwks.json"):
            shutil.move(new / name, secrets / name)
        publish(city, {"keys": [new_jwk]})
        seal_with(new_key)
        for service in SERVICES:
            done = city.by_hand(service.name, "keys", "rotate")
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"moved to key {new_key}" in done.stdout
        eventually(lambda: not taken(client, old_tokens), seconds=KEYS_SECONDS)
        load.wait_for_more()
        assert not load.failed, load.failed


def taken(client: HttpClient, tokens: Tokens) -> bool:
    """Whether calls with a fresh token of this issuer are let in by the gateway and by both services."""
    run = Run(client, tokens)
    try:
        for rpc in ("ListCases", "ListImports"):
            client.call(rpc, {}, token=run.token("clerk"))
    except Refused as refused:
        if refused.status != "UNAUTHENTICATED":
            # Whoever is just being replaced says neither yes nor no, and is asked again.
            raise AssertionError(str(refused)) from refused
        return False
    return True
