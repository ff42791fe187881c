"""Keys are changed under fifty firms, and none of them notices."""

import json
import shutil
from contextlib import closing
from dataclasses import replace

from e2e.api_cases import Run
from e2e.clients import HttpClient, Refused
from e2e.containers.load import living
from e2e.containers.rolling import restart
from e2e.containers.stack import Containers, mount
from e2e.eventually import eventually
from e2e.tokens import Tokens
from tulou_chassis.keyring import add_key
from tulou_gateway.tokens import create_issuer

JWKS_SECONDS = 60
PROCESSES = ("approval", "credit", "approval-worker", "credit-worker")


def test_tokens_of_a_new_key_are_taken_and_those_of_the_old_one_no_more(city: Containers) -> None:
    secrets, new = city.var / "secrets", city.var / "next" / "secrets"
    create_issuer(new)
    old_tokens, new_tokens = Tokens(city), Tokens(replace(city, var=new.parent))
    keys = [json.loads((folder / "jwks.json").read_text())["keys"][0] for folder in (secrets, new)]
    with living(city) as load, closing(HttpClient(city.url)) as client:
        (secrets / "jwks.json").write_text(json.dumps({"keys": keys}))
        mount(city, "jwks.json")
        eventually(lambda: taken(client, new_tokens), seconds=JWKS_SECONDS)
        load.use(new_tokens)
        for name in ("issuer.pem", "jwks.json"):
            shutil.move(new / name, secrets / name)
        mount(city, "jwks.json")
        eventually(lambda: not taken(client, old_tokens), seconds=JWKS_SECONDS)
        load.wait_for_more()
        assert not load.failed, load.failed


def test_rows_move_to_a_new_key_of_the_keyring(city: Containers) -> None:
    keyring = city.var / "secrets/keyring.json"
    old = json.loads(keyring.read_text())["primary"]
    with living(city) as load:
        # Everyone must be able to read what one of them seals: the new key is known to all before it is used by any.
        new = add_key(keyring)
        content = json.loads(keyring.read_text())
        for primary in (old, new):
            keyring.write_text(json.dumps(content | {"primary": primary}))
            mount(city, "keyring.json")
            restart(city, *PROCESSES)
            load.wait_for_more()
        for service in ("approval", "credit"):
            done = city.by_hand(service, "keys", "rotate")
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"moved to key {new}" in done.stdout
        load.wait_for_more()
        assert not load.failed, load.failed


def taken(client: HttpClient, tokens: Tokens) -> bool:
    """Whether a call with a fresh token of this issuer is let in by the gateway and by both services."""
    run = Run(client, tokens)
    try:
        for rpc in ("ListCases", "ListImports"):
            client.call(rpc, {}, token=run.token("clerk"))
    except Refused as refused:
        if refused.status != "UNAUTHENTICATED":
            raise
        return False
    return True
