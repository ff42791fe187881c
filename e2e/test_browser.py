"""A stranger's eye: the docs page of a whole city, a call tried there, and the page of its trace."""

import json

from playwright.sync_api import Browser, expect

from e2e.eventually import eventually
from e2e.providers.cities import Cities
from gateway.tests.browser.pages import bars, get_token, open_docs, status_of, text_of, try_out, watched_page


def test_a_stranger_tries_a_call_on_the_docs_page_and_sees_what_it_did(browser: Browser, cities: Cities) -> None:
    city = cities()
    with watched_page(browser, city.url, locale="zh-CN") as stranger:
        page = stranger.page
        open_docs(page)
        get_token(page, role="citizen", region="350602")
        answer = try_out(page, "ApprovalService_CreateCase")
        assert status_of(answer) == 200, text_of(answer)
        case = json.loads(text_of(answer))["case"]
        assert case["state"] == "CASE_STATE_DRAFT"
        assert case["itemVersion"] == 1

        # What was filed by one call is read by the next.
        answer = try_out(page, "ApprovalService_GetCase", caseId=case["id"])
        assert status_of(answer) == 200, text_of(answer)
        assert json.loads(text_of(answer))["case"]["id"] == case["id"]

        link = page.locator("#last-call a")
        trace_id = (link.get_attribute("href") or "").partition("?")[0].rpartition("/")[2]
        link.click()
        expect(page).to_have_url(f"{city.url}/traces/{trace_id}")

        def drawn() -> None:
            widths = bars(page, trace_id)
            names = set(widths)
            assert "tulou.approval.v1.ApprovalService/GetCase" in names, names
            assert any(name.startswith("SELECT") for name in names), names
            assert any("/approval/v1/cases" in name for name in names), names
            assert all(width > 0 for width in widths.values())

        eventually(drawn)
        expect(page.locator("h1")).to_contain_text("/approval/v1/cases")
        assert stranger.complaints == []
