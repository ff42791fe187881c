"""A stranger's eye: the pages in a real browser, against the real portal and a stand-in for the services' API."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from gateway.tests.browser.fake_city import BROKEN, CHANGED, TRACE, UNCHANGED, fake_city, otlp
from gateway.tests.browser.pages import (
    Watched,
    bars,
    get_token,
    open_docs,
    status_of,
    text_of,
    try_out,
    verify,
    watched_page,
)

CREATE = "ApprovalService_CreateCase"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fake_city(tmp_path_factory.mktemp("city")) as found:
        body = otlp(TRACE, start=time.time_ns())
        sent = httpx.post(f"{found}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})
        sent.raise_for_status()
        yield found


@pytest.fixture
def stranger(browser: Browser, origin: str) -> Iterator[Watched]:
    """A visitor with a Chinese browser. Whatever the page complains about fails the test."""
    with watched_page(browser, origin, locale="zh-CN") as watched:
        yield watched
        assert watched.complaints == []


def test_a_call_can_be_tried_with_a_token_taken_on_the_page(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    get_token(page, role="enterprise", region="350602")
    answer = try_out(page, CREATE)
    assert status_of(answer) == 200
    case = json.loads(text_of(answer))["case"]
    assert case["id"] == "case 1 of dev-enterprise"
    assert case["title"] == "古厝里餐饮店食品经营许可"


def test_a_second_try_is_a_new_call_and_not_a_replay(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    get_token(page, role="citizen")
    first, second = (json.loads(text_of(try_out(page, CREATE))) for _ in range(2))
    assert first["case"]["id"] != second["case"]["id"]
    assert (first["replayed"], second["replayed"]) == (False, False)


def test_a_request_id_typed_by_hand_is_left_alone(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    get_token(page, role="citizen")
    body = json.dumps({"requestId": "11111111-2222-4333-8444-555555555555", "case": {"title": "再来一次"}})
    answers = [json.loads(text_of(try_out(page, CREATE, body=body))) for _ in range(2)]
    assert [answer["replayed"] for answer in answers] == [False, True]


def test_without_a_token_the_refusal_is_shown(stranger: Watched) -> None:
    open_docs(stranger.page)
    answer = try_out(stranger.page, CREATE)
    assert status_of(answer) == 401
    assert json.loads(text_of(answer))["message"] == "This call needs a token."


def test_an_answer_leads_to_its_trace(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    get_token(page, role="citizen")
    try_out(page, CREATE)
    page.locator("#last-call a").click()
    expect(page.locator("h1")).to_have_text("POST /approval/v1/cases")
    assert page.url.endswith(f"/traces/{TRACE}")


def test_an_endless_stream_is_shown_after_a_while(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    get_token(page, role="partner")
    answer = try_out(page, "ApprovalService_WatchEvents")
    assert status_of(answer) == 200
    assert 'data: {"event": {"position": "1"}}' in text_of(answer)


def test_staff_name_their_department_and_applicants_do_not(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    expect(page.locator("[name=department]")).to_be_hidden()
    expect(page.locator("[name=identity]")).to_be_visible()
    get_token(page, role="clerk", department="SCJG", region="350602")
    expect(page.locator("#holder")).to_contain_text("dev-clerk-scjg")
    expect(page.locator("#departments option")).to_have_count(1)


def test_a_token_that_cannot_be_is_refused_in_words(stranger: Watched) -> None:
    page = stranger.page
    open_docs(page)
    form = page.locator("#token")
    form.evaluate("form => { form.noValidate = true; }")
    form.locator("[name=region]").fill("福建")
    form.locator("button[type=submit]").click()
    expect(page.locator("#holder")).to_have_class("bad")


def test_the_waterfall_draws_a_bar_for_every_span_in_proportion(stranger: Watched) -> None:
    widths = bars(stranger.page, TRACE)
    assert len(widths) == 9
    assert widths["POST /approval/v1/cases"] / widths["COMMIT"] == pytest.approx(23.4 / 6.2, rel=0.02)
    assert all(width > 1 for width in widths.values())


def test_a_span_opens_by_keyboard_and_shows_its_attributes(stranger: Watched) -> None:
    page = stranger.page
    bars(page, TRACE)
    span = page.locator("details.span", has_text="INSERT cases").first
    expect(span.get_by_text("db.statement")).to_be_hidden()
    span.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(span.get_by_text("db.statement")).to_be_visible()


def test_all_spans_open_and_close_at_once(stranger: Watched) -> None:
    page = stranger.page
    bars(page, TRACE)
    page.locator("#all").click()
    expect(page.locator("details.span[open]")).to_have_count(9)
    page.locator("#all").click()
    expect(page.locator("details.span[open]")).to_have_count(0)


def test_the_list_leads_to_a_trace_and_follows_new_ones(stranger: Watched, origin: str) -> None:
    page = stranger.page
    page.goto("/traces")
    rows = page.locator("table.traces tbody tr")
    before = rows.count()
    body = otlp(f"{before + 1:032x}", start=time.time_ns())
    httpx.post(f"{origin}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})
    expect(rows).to_have_count(before + 1)
    rows.first.locator("a").click()
    expect(page.locator("details.span")).to_have_count(9)


def test_a_trace_that_is_still_on_its_way_appears_by_itself(stranger: Watched, origin: str) -> None:
    trace = "a" * 32
    stranger.page.goto(f"/traces/{trace}")
    expect(stranger.page.locator("h1")).to_have_text("还没有这条调用链")
    body = otlp(trace, start=time.time_ns())
    httpx.post(f"{origin}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})
    expect(stranger.page.locator("details.span")).to_have_count(9)


def test_the_traces_can_be_narrowed_without_a_button(stranger: Watched) -> None:
    stranger.page.goto("/traces")
    stranger.page.locator("[name=min_ms]").fill("10000")
    stranger.page.locator("[name=min_ms]").press("Enter")
    expect(stranger.page.locator(".empty")).to_be_visible()
    assert "min_ms=10000" in stranger.page.url


def test_a_report_is_verified_by_typing_its_code(stranger: Watched) -> None:
    page = stranger.page
    verify(page, "7k3m q9xt-b2r8-vhnc")
    verdict = page.locator("#verdict article:visible")
    expect(verdict.locator("h2")).to_have_text("报告属实")
    expect(verdict).to_contain_text("漳州市古厝里餐饮有限公司")
    expect(verdict).to_contain_text("2026年8月11日 14:05")
    expect(verdict).to_contain_text("本人报告")
    expect(verdict).to_contain_text("没有变化", use_inner_text=True)
    expect(verdict).not_to_contain_text("请索取新的报告", use_inner_text=True)


def test_a_report_whose_records_changed_says_so(stranger: Watched) -> None:
    stranger.page.goto(f"/credit/verify?code={CHANGED}")
    verdict = stranger.page.locator("#verdict article:visible")
    expect(verdict.locator("h2")).to_have_text("报告属实")
    expect(verdict).to_contain_text("请索取新的报告", use_inner_text=True)
    expect(verdict).not_to_contain_text("没有变化", use_inner_text=True)


def test_a_report_that_was_never_made_is_not_to_be_relied_on(stranger: Watched) -> None:
    verify(stranger.page, "AAAA-BBBB-CCCC-DDDD")
    expect(stranger.page.locator("#verdict article:visible h2")).to_have_text("没有查到这份报告")


def test_a_service_that_does_not_answer_says_nothing_of_the_report(stranger: Watched) -> None:
    verify(stranger.page, BROKEN)
    expect(stranger.page.locator("#verdict article:visible h2")).to_have_text("暂时无法核验")


def test_a_code_stays_when_the_language_changes_and_cannot_carry_markup(stranger: Watched) -> None:
    page = stranger.page
    page.goto("/credit/verify?code=%22%3E%3Cimg src=x onerror=alert(1)%3E")
    expect(page.locator("main img")).to_have_count(0)
    page.goto(f"/credit/verify?code={UNCHANGED}")
    page.locator("a.language").click()
    expect(page.locator("#verdict article:visible h2")).to_have_text("The report is genuine")
    verify(page, CHANGED, path=None)
    expect(page.locator("#verdict article:visible")).to_contain_text("ask for a new report")


@pytest.mark.parametrize("path", ["/", "/docs", "/traces", f"/traces/{TRACE}", f"/credit/verify?code={UNCHANGED}"])
def test_no_page_is_wider_than_a_phone(browser: Browser, origin: str, path: str) -> None:
    viewport = {"width": 360, "height": 740}
    with watched_page(browser, origin, viewport=viewport, color_scheme="dark", locale="zh-CN") as watched:
        watched.page.goto(path, wait_until="networkidle")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert watched.complaints == []


def test_the_pages_speak_english_to_who_prefers_it(browser: Browser, origin: str) -> None:
    with watched_page(browser, origin, locale="en-GB") as watched:
        watched.page.goto("/")
        expect(watched.page.locator("h1")).to_have_text("One city under one roof")
        watched.page.locator("a.language").click()
        expect(watched.page.locator("h1")).to_have_text("一座城，一个屋檐")
        assert watched.complaints == []


def test_pages_can_be_read_without_scripts(browser: Browser, origin: str) -> None:
    with watched_page(browser, origin, java_script_enabled=False, locale="zh-CN") as watched:
        watched.page.goto(f"/traces/{TRACE}")
        assert watched.page.locator("details.span").count() == 9
        watched.page.goto("/docs")
        expect(watched.page.locator("noscript a")).to_be_visible()
