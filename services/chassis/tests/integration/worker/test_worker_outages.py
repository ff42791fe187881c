"""The database or the broker goes away and comes back: nothing is lost, nothing doubled, nothing given up."""

from urllib.parse import urlsplit

import psycopg
from google.protobuf.wrappers_pb2 import StringValue

from services.chassis.tests.integration.worker.home import Home, by_subject
from services.chassis.tests.integration.worker.proxy import Proxy
from tulou_chassis import deadletters


def emit(home: Home, first: int, last: int) -> None:
    home.emit(*((f"case-{number % 5}", StringValue(value=str(number))) for number in range(first, last)))


def expected(last: int) -> dict[str, list[int]]:
    return {f"case-{n}": list(range(n, last, 5)) for n in range(5)}


def test_what_is_published_while_the_broker_is_away_arrives_when_it_is_back(cluster: Home) -> None:
    uri = urlsplit(cluster.environment["TULOU_AMQP_URI"])
    assert uri.hostname
    assert uri.port
    proxy = Proxy(uri.hostname, uri.port)
    through = uri._replace(netloc=f"{uri.username}:{uri.password}@127.0.0.1:{proxy.port}")
    cluster.environment["TULOU_AMQP_URI"] = through.geturl()
    cluster.switch("slow")
    worker = cluster.start()
    emit(cluster, 0, 100)

    for last in (200, 300):
        cluster.wait("some events", lambda reached=last - 150: len(cluster.noted()) >= reached)
        proxy.cut()
        emit(cluster, last - 100, last)
        cluster.wait("the failure", lambda times=last // 100 - 1: cluster.logs().count("relay_publish_failed") >= times)
        proxy.open()
    cluster.wait("all events", lambda: len(cluster.noted()) >= 300)

    assert by_subject(cluster.noted()) == expected(300)
    assert worker.popen.poll() is None
    proxy.cut()


def test_a_broker_that_hangs_is_given_up_and_found_again(cluster: Home) -> None:
    uri = urlsplit(cluster.environment["TULOU_AMQP_URI"])
    assert uri.hostname
    assert uri.port
    proxy = Proxy(uri.hostname, uri.port)
    through = uri._replace(netloc=f"{uri.username}:{uri.password}@127.0.0.1:{proxy.port}")
    cluster.environment["TULOU_AMQP_URI"] = through.geturl()
    cluster.start()
    emit(cluster, 0, 50)
    cluster.wait("the first events", lambda: len(cluster.noted()) == 50)

    # Connections stay, and nothing comes over them any more: neither words nor their end.
    proxy.freeze()
    emit(cluster, 50, 100)

    cluster.wait("all events", lambda: len(cluster.noted()) >= 100)
    assert by_subject(cluster.noted()) == expected(100)
    proxy.cut()


def test_while_the_database_is_away_nothing_is_given_up_and_the_worker_says_that_it_is_not_well(
    cluster: Home, postgres_admin_url: str
) -> None:
    worker = cluster.start()
    emit(cluster, 0, 50)
    cluster.wait("the first events", lambda: len(cluster.noted()) == 50)
    cluster.switch("slow")
    emit(cluster, 50, 100)
    cluster.maker.close()
    cluster.taker.close()

    with psycopg.connect(postgres_admin_url, autocommit=True) as admin:
        for service in ("maker", "taker"):
            name = cluster.url.rpartition("/")[2].replace("{service}", service)
            admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        cluster.wait("the bad news", lambda: worker.get("/healthz").status_code == 503)
        for service in ("maker", "taker"):
            name = cluster.url.rpartition("/")[2].replace("{service}", service)
            admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")

    cluster.wait("the good news", lambda: worker.get("/healthz").status_code == 200)
    emit(cluster, 100, 150)
    cluster.wait("all events", lambda: len(cluster.noted()) >= 150)
    assert by_subject(cluster.noted()) == expected(150)
    assert cluster.taker.read(deadletters.unresolved) == []
