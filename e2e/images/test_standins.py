"""The stand-ins for the official PostgreSQL and RabbitMQ images: the same variables, no root, clean ends."""

from typing import Final

import pytest

from e2e.images.engine import docker, started, stopped, wait_until_healthy
from e2e.providers.engine import Images, images

POSTGRES: Final = ("-e", "POSTGRES_USER=tulou", "-e", "POSTGRES_PASSWORD=a b'c", "-e", "POSTGRES_DB=city")
RABBITMQ: Final = ("-e", "RABBITMQ_DEFAULT_USER=tulou", "-e", "RABBITMQ_DEFAULT_PASS=secret", "--hostname", "first")


@pytest.fixture(scope="module")
def built() -> Images:
    return images()


@pytest.fixture
def postgres(built: Images) -> str:
    return f"{built.registry}/postgres:standin"


@pytest.fixture
def rabbitmq(built: Images) -> str:
    return f"{built.registry}/rabbitmq:standin"


def test_postgres_makes_its_user_and_database_and_keeps_rows_over_a_restart(postgres: str) -> None:
    with started(
        postgres, options=["--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run/postgresql:uid=999", *POSTGRES]
    ) as it:
        wait_until_healthy(it)
        assert docker("exec", it, "id", "-u").strip() == "999"
        asked = ["exec", "-e", "PGPASSWORD=a b'c", it, "psql", "-h", "127.0.0.1", "-U", "tulou", "city", "-Atc"]
        docker(*asked, "create table kept as select 7 as seven")
        assert stopped(it) == 0
        docker("start", it)
        wait_until_healthy(it)
        assert docker(*asked, "select seven from kept").strip() == "7"


def test_postgres_refuses_a_wrong_password_over_the_network(postgres: str) -> None:
    with started(postgres, options=POSTGRES) as it:
        wait_until_healthy(it)
        asked = [
            "exec",
            "-e",
            "PGPASSWORD=wrong",
            it,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "tulou",
            "city",
            "-c",
            "select 1",
        ]
        assert "password authentication failed" in docker(*asked, good=False)


def test_postgres_does_not_start_without_a_password(postgres: str) -> None:
    assert "POSTGRES_PASSWORD" in docker("run", "--rm", postgres, good=False)


def test_rabbitmq_makes_its_user_and_keeps_queues_for_a_container_of_another_name(rabbitmq: str) -> None:
    volume = docker("volume", "create").strip()
    try:
        options = ["--read-only", "--tmpfs", "/tmp", "-v", f"{volume}:/var/lib/rabbitmq", *RABBITMQ]
        with started(rabbitmq, options=options) as it:
            wait_until_healthy(it)
            assert docker("exec", it, "id", "-u").strip() == "999"
            docker("exec", it, "rabbitmqctl", "authenticate_user", "tulou", "secret")
            docker("exec", it, "rabbitmqctl", "add_vhost", "kept")
            assert stopped(it) == 0
        with started(rabbitmq, options=[*options[:-1], "second"]) as it:
            wait_until_healthy(it)
            assert "kept" in docker("exec", it, "rabbitmqctl", "-q", "list_vhosts").split()
    finally:
        docker("volume", "rm", "-f", volume)


def test_two_brokers_do_not_have_the_same_cookie(rabbitmq: str) -> None:
    docker("run", "--rm", "--entrypoint", "sh", rabbitmq, "-c", "test ! -e /var/lib/rabbitmq/.erlang.cookie")
