"""What people who see little, or use no mouse, meet on a page: axe's rules, and the tab key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.browser import Page

AXE = Path(__file__).parents[1] / "vendor" / "axe-core" / "axe.min.js"
#: The rules of WCAG up to AA, and those of good practice: landmarks, one h1, the order of headings.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: More tabs than any page has controls.
MOST_TABS = 200
CONTROLS = """
    const selector = "a[href], button, input, select, textarea, summary, [tabindex]";
    const isReachable = (element) =>
        !element.disabled && element.tabIndex >= 0 && element.type !== "hidden" &&
        element.checkVisibility({ visibilityProperty: true });
    const name = (element) => element.id || element.textContent.trim() || element.outerHTML;
"""
#: What is focused: its name, whether that can be seen, and whether it is where one looks.
FOCUSED = (
    CONTROLS
    + """
    const element = document.activeElement;
    if (element === document.body || element === document.documentElement) return null;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { bottom, right, top, left } = element.getBoundingClientRect();
    const isSeen = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    const isInside = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
    return [name(element).slice(0, 80), isSeen && isInside];
"""
)
REACHABLE = (
    CONTROLS
    + """
    const isOneOfRadios = (element) => element.type === "radio" && !element.checked;
    return [...document.querySelectorAll(selector)]
        .filter((element) => isReachable(element) && !isOneOfRadios(element))
        .map((element) => name(element).slice(0, 80));
"""
)


def violations(page: Page, rules: list[str] = RULES) -> list[str]:
    """What axe has to say against the page as it is now."""
    if not AXE.is_file():
        pytest.fail("axe-core is missing: make tests-need, or make test")
    page.run(AXE.read_text(encoding="utf-8"))
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = page.driver.execute_async_script(
        "axe.run(document, arguments[0]).then(arguments[1])", options
    )
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:120]} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def tab_problems(page: Page) -> list[str]:
    """Controls that the tab key does not reach, and such that are focused and do not show it.

    A page may change meanwhile: it is asked of those that were there first and are there at last.
    """
    wanted = page.run(REACHABLE)
    met: dict[str, bool] = {}
    for _ in range(MOST_TABS):
        press_tab(page)
        focused = page.run(FOCUSED)  # nothing between the last one and the first
        if focused and met and focused[0] == next(iter(met)):
            break
        met.update([focused] if focused else [])
    unseen = [f"{name!r} is focused and does not show it" for name, seen in met.items() if not seen]
    stayed = page.run(REACHABLE)
    missed = [name for name in wanted if name in stayed and name not in met]
    return unseen + [f"the tab key does not reach {name!r}" for name in missed]


def press_tab(page: Page) -> None:
    """The key itself, as WebDriver's needs an element that it is sent to."""
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    for kind in ("keyDown", "keyUp"):
        page.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, **key})
