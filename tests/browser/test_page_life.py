"""The page over time: servers that come and go, tokens, phones, the keyboard, lists."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from streamfuse.frames import Event, EventPhase, FusedFrame, PairState

TOKEN = "correct horse battery"  # noqa: S105 - of a server that lives as long as its test
PHONE = (390, 844)
RECOVERS_S = 6.0


def wait_picture(page: Page) -> None:
    """Wait until a frame is on the screen."""
    page.wait_for_function("() => Number(document.getElementById('picture')?.dataset.frame) > 0")


@pytest.mark.fault
def test_the_page_comes_back_after_a_restart_of_the_server(make_show, look, record_property) -> None:
    """The page says that it has no connection, and shows pictures again without anybody's help."""
    record_property("room", "operations")
    record_property("fault", "the viewer's server is stopped and started again under an open page")
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_picture(page)
    expect(page.locator("#state")).to_have_text("no connection")
    expect(page.locator("#veil")).to_be_visible()
    with show.on():
        started_s = time.monotonic()
        expect(page.locator("#state")).to_have_text("matched", timeout=RECOVERS_S * 1000)
        recovery_s = time.monotonic() - started_s
        record_property("recovery_s", round(recovery_s, 2))
        record_property("promise", f"{RECOVERS_S:.0f} s")
        expect(page.locator("#veil")).to_be_hidden()
        page.close()
    assert recovery_s < RECOVERS_S


@pytest.mark.fault
def test_the_page_says_stale_when_pictures_stop(make_show, look, record_property) -> None:
    """A picture that stands still is never taken for a live one."""
    record_property("room", "operations")
    record_property("fault", "the pipeline stops giving pictures while the viewer's server lives on")
    show = make_show()
    silent = False

    def one_by_one(frame: FusedFrame) -> FusedFrame:
        while silent:
            time.sleep(0.05)  # the pipeline hangs
        return frame

    show.change = one_by_one
    with show.on():
        page = look(show.url)
        wait_picture(page)
        silent = True
        expect(page.locator("#state")).to_have_text("stale")
        expect(page.locator("#veil")).to_contain_text("no new picture for")
        assert "stale" in page.title()
        silent = False
        expect(page.locator("#state")).to_have_text("matched")
        page.close()


def test_the_page_says_late_when_pictures_are_old(make_show, look) -> None:
    """Pictures that come seconds after their capture do not look live, whatever the state of the pair."""
    show = make_show()
    late_ns = 5_434_000_000
    show.change = lambda frame: replace(frame, fused_ns=frame.capture_ns + late_ns)
    with show.on():
        page = look(show.url)
        state = page.locator("#state")
        expect(state).to_have_text("late")
        expect(state).to_have_attribute("data-tone", "warn")
        expect(page.locator("#latency_ms")).to_have_text("5434 ms")
        assert "late" in page.title()
        show.change = lambda frame: replace(frame, fused_ns=frame.capture_ns + late_ns, state=PairState.HELD)
        expect(state).to_have_text("late · held")
        show.change = lambda frame: replace(frame, fused_ns=frame.capture_ns + 1_999_000_000)
        expect(state).to_have_text("matched")
        expect(state).to_have_attribute("data-tone", "good")
        page.close()


def test_a_wrong_token_is_refused_and_the_right_one_accepted(make_show, look) -> None:
    """Without the token there is a form and no picture; with it there is the picture, now and later."""
    show = make_show(token=TOKEN)
    with show.on():
        page = look(show.url)
        expect(page.locator("#token")).to_be_visible()
        page.fill("#token", "wrong but long enough")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.fill("#token", TOKEN)
        page.get_by_role("button", name="Sign in").click()
        wait_picture(page)
        expect(page.locator("#state")).to_have_text("matched")
        assert page.url == show.url
        page.goto(f"{show.url}login")
        wait_picture(page)
        assert page.url == show.url
        page.close()


@pytest.mark.parametrize("tab", ["events", "recordings", "health"])
def test_on_a_phone_nothing_is_wider_than_the_screen(make_show, look, tab: str) -> None:
    """No mode and no panel makes a phone scroll sideways, and what a finger presses is large enough."""
    show = make_show()
    with show.on():
        page = look(show.url, PHONE, scale=2)
        wait_picture(page)
        page.locator(f"#tab-{tab}").tap()
        for mode in ("fused", "side", "blend", "inset"):
            page.locator(f".modes label:has([value={mode}])").tap()
            wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (mode, tab)
        heights = page.locator("#controls button:visible, .modes label, .overlays label").evaluate_all(
            "(all) => all.map((each) => each.getBoundingClientRect().height)"
        )
        assert min(heights) >= 40
        page.close()


def test_on_a_phone_no_mode_touches_its_edges(make_show, look) -> None:
    """Around the name of each mode, chosen or not, there is room within its button."""
    show = make_show()
    with show.on():
        page = look(show.url, PHONE, scale=2)
        wait_picture(page)
        for mode in ("side", "inset"):
            page.locator(f".modes label:has([value={mode}])").tap()
            rooms = page.locator(".modes label").evaluate_all(
                """(all) => all.map((label) => {
                  const words = document.createRange();
                  words.selectNodeContents(label.querySelector("span"));
                  const [inner, outer] = [words.getBoundingClientRect(), label.getBoundingClientRect()];
                  return Math.min(inner.left - outer.left, outer.right - inner.right);
                })"""
            )
            assert min(rooms) >= 8, (mode, rooms)
        page.close()


def test_keys_do_what_the_help_says(make_show, look) -> None:
    """Digits choose modes, letters switch overlays, space pauses; the help lists them."""
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_picture(page)
        page.keyboard.press("4")
        expect(page.locator("[value=side]")).to_be_checked()
        page.keyboard.press("t")
        expect(page.locator("[name=tracks]")).not_to_be_checked()
        page.keyboard.press("p")
        expect(page.locator("[name=palette]")).not_to_have_value("white-hot")
        page.keyboard.press("Space")
        expect(page.locator("#state")).to_have_text("paused")
        paused = page.locator("#picture").get_attribute("data-frame")
        page.wait_for_timeout(500)
        assert page.locator("#picture").get_attribute("data-frame") == paused
        page.keyboard.press("Space")
        expect(page.locator("#state")).to_have_text("matched")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        page.keyboard.press("Escape")
        page.reload()
        expect(page.locator("[value=side]")).to_be_checked()
        page.close()


def test_an_event_that_goes_on_is_shown_on_the_picture(make_show, look) -> None:
    """While a rule's event goes on its name lies on the picture, and goes with it."""
    show = make_show()
    event = Event(id="e1", rule="person-on-road", phase=EventPhase.GOING, began_ns=1, objects=2)
    show.change = lambda frame: replace(frame, events=(event,))
    with show.on():
        page = look(show.url)
        expect(page.locator("#alarms")).to_have_text("person on road")
        show.change = lambda frame: frame
        expect(page.locator("#alarms li")).to_have_count(0)
        page.close()


def test_everything_that_can_be_pressed_has_a_name(make_show, look) -> None:
    """Each control has a name for those who do not see it, and one heading says where they are."""
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_picture(page)
        page.locator("[value=blend]").check(force=True)
        snapshot = page.locator("body").aria_snapshot()
        page.close()
    controls = [
        line
        for line in snapshot.splitlines()
        if re.search(r"- (button|radio|checkbox|slider|tab|combobox)\b", line)
    ]
    assert len(controls) > 15
    assert all('"' in line for line in controls), controls
