"""Wrong values are refused with the field's name, by both Helms, before anything is rendered."""

import re

import pytest

from charts.tests.rendering import PROFILES, run
from e2e.providers import tools

# Helm's argument, the field that the refusal must name, and what it must say of it.
BAD = [
    ("--set=replicas=3", "replicas", "not allowed"),
    ("--set=server.replica=3", "replica", "not allowed"),
    ("--set=services.approval.sever.replicas=3", "services.approval", "sever"),
    ("--set=services.Grid.testPath=/", "services", "Grid"),
    ("--set=services.grid.env.A=b", "services.grid", "testPath"),
    ("--set=services.gateway.testPath=/", "services.gateway", "the chart itself uses this name"),
    ("--set=services.portal.testPath=/", "services.portal", "the chart itself uses this name"),
    ("--set=services.migrate.testPath=/", "services.migrate", "the chart itself uses this name"),
    ("--set=server.replicas=0", "server.replicas", "1"),
    ("--set-string=server.replicas=3", "server.replicas", "integer"),
    ("--set=server.resources.limits.memory=512", "server.resources.limits.memory", "string"),
    ("--set=server.resources.limits.memory=half", "server.resources.limits.memory", "pattern"),
    ("--set=worker.resources.limits.cpu=null", "worker.resources.limits", "cpu"),
    ("--set=gateway.resources.limits.cpu=lots", "gateway.resources.limits.cpu", "pattern"),
    ("--set=gateway.service.type=Loadbalancer", "gateway.service.type", "LoadBalancer"),
    ("--set=gateway.service.externalTrafficPolicy=local", "gateway.service.externalTrafficPolicy", "Local"),
    ("--set=gateway.service.port=70000", "gateway.service.port", "65"),
    ("--set=gateway.service.port=50051", "gateway.service.port", "not"),
    ("--set=images.tag=latest", "images.tag", "not"),
    ("--set=images.pullPolicy=Sometimes", "images.pullPolicy", "IfNotPresent"),
    ("--set=images.registry=https://registry.example", "images.registry", "pattern"),
    ("--set=oidc.issuer=id.tulou.example", "oidc.issuer", "pattern"),
    ("--set=oidc.jwks.url=/etc/jwks.json", "oidc.jwks.url", "pattern"),
    ("--set=otlp.traceRatio=10", "otlp.traceRatio", "1"),
    ("--set=otlp.endpoint=collector:4318", "otlp.endpoint", "pattern"),
    ("--set=logLevel=verbose", "logLevel", "WARNING"),
    ("--set=database.secret=Tulou_DB", "database.secret", "pattern"),
    ("--set=database.url=postgresql://db/tulou", "database", "url"),
    ("--set=migrate.seed=install", "migrate.seed", "always"),
    ("--set=blobs.accessMode=ReadOnlyMany", "blobs.accessMode", "ReadWriteMany"),
    ("--set=services.approval.blobs.size=50", "services.approval.blobs.size", "string"),
    ("--set=hosts.http=https://www.tulou.example", "hosts.http", "pattern"),
    ("--set=env.https-proxy=x", "env", "https-proxy"),
    ("--set=env.DEBUG=true", "env.DEBUG", "string"),
    ("--set=pods.user=0", "pods.user", "1"),
    ("--set=pods.spread=Always", "pods.spread", "DoNotSchedule"),
    ("--set-json=networkPolicy.database.peers=[]", "networkPolicy.database.peers", "1"),
    ("--set=networkPolicy.callers[0].cidr=10.0.0.0", "networkPolicy.callers.0.cidr", "pattern"),
    ("--set=networkPolicy.broker.ports[0]=amqp", "networkPolicy.broker.ports.0", "integer"),
    ("--set-json=calendars={\"2027\": {\"holidays\": []}}", "calendars.2027", "holidays"),
    ("--set=calendars.a.years.2027.holidays[0]=1 January", "calendars.a.years.2027.holidays.0", "pattern"),
    ("--set=calendars.a.overrides.2026-09-28.working=no", "calendars.a.overrides.2026-09-28", "reason"),
    ("--set=monitoring.objectives.availability=100", "monitoring.objectives.availability", "100"),
    # What a schema cannot say, the templates do.
    ("--set=oidc.jwks.configMap=keys", "oidc.jwks", "either url or configMap"),
    ("--set=oidc.jwks.url=", "oidc.jwks", "either url or configMap"),
    ("--set=services.approval.calls[0]=grid", "services.approval.calls", "there is no service"),
    ("--set=services.credit.env.TULOU_OIDC_ISSUER=x", "services.credit.env.TULOU_OIDC_ISSUER", "the chart sets it"),
    ("--set=env.TULOU_DATABASE_URL=x", "env.TULOU_DATABASE_URL", "the chart sets it"),
    ("--set=server.autoscaling.enabled=true,server.autoscaling.maxReplicas=1", "autoscaling.maxReplicas", "server"),
    ("--set=ingress.enabled=true", "hosts.http", "ingress.enabled"),
    ("--set=gatewayApi.enabled=true,hosts.http=a.b", "gatewayApi.parentRefs", "gatewayApi.enabled"),
    ("--set=gateway.service.externalTrafficPolicy=Local", "gateway.service.externalTrafficPolicy", "LoadBalancer"),
    ("--set=gateway.tls=true", "tls.secret", "gateway.tls"),
    ("--set=gateway.tls=true,tls.secret=t,ingress.enabled=true,hosts.http=a.b", "gateway.tls", "ingress.enabled"),
]  # fmt: skip


@pytest.mark.parametrize(("argument", "field", "reason"), BAD, ids=[argument for argument, *_ in BAD])
def test_a_wrong_value_is_refused_with_its_name(helm: str, argument: str, field: str, reason: str) -> None:
    done = run(helm, "template", *PROFILES["minimal"], argument)
    assert done.returncode != 0
    assert done.stdout == ""
    # Helm 4 writes a field's path with slashes, and the outermost alone without one.
    told = re.sub(r"(?<=\w)/(?=\w)", ".", done.stderr)
    assert field in told
    assert reason in told


def test_without_values_it_says_what_must_be_given(helm: str) -> None:
    done = run(helm, "template")
    assert done.returncode != 0
    assert re.search("oidc[./]issuer", done.stderr)


@pytest.mark.parametrize("release", ["a" * 36, "city.prod", "2city"])
def test_a_name_of_which_no_others_can_be_made_is_refused(release: str) -> None:
    done = run(str(tools.helm()), "template", *PROFILES["minimal"], release=release)
    assert done.returncode != 0
    assert "at most 35 letters, digits and hyphens" in done.stderr
