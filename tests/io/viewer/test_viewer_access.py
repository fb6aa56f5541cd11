"""Who may see the page: names, origins, tokens; decided without sockets, then kept over real ones."""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from streamfuse.clock import NS_PER_S
from streamfuse.io.viewer.access import Access, Attempts, Knock

TOKEN = "correct-horse-battery"  # noqa: S105 - of the tests


def status(access: Access, **knock: str) -> int | None:
    """What a request is refused with; None: it is not."""
    refusal = access.refusal(Knock(**{"path": "/status.json", "host": "localhost", **knock}), 0)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "loopback", "network"),
    [
        ("localhost", None, None),
        ("127.0.0.1:9999", None, None),
        ("[::1]:8090", None, None),
        ("LOCALHOST:8090", None, None),
        ("box", 400, None),
        ("box.example:443", None, None),
        ("192.168.1.5:8090", 400, None),
        ("[fe80::1]:8090", 400, None),
        ("evil.example", 400, 400),
        ("127.0.0.1.evil.example:8090", 400, 400),
        ("localhost@evil.example", 400, 400),
        ("evil.example@localhost", 400, 400),
        ("localhost:8090:80", 400, 400),
        ("localhost/", 400, 400),
        ("", 400, 400),
        ("\xe9", 400, 400),
    ],
)
def test_only_names_that_nobody_else_can_own_are_answered(
    host: str, loopback: int | None, network: int | None
) -> None:
    """A foreign name that resolves to this machine (DNS rebinding) is refused."""
    origins = ("https://box.example",)
    assert status(Access(None, origins=origins), host=host) == loopback
    assert status(Access(None, names=("box",), origins=origins, addresses=True), host=host) == network


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://localhost:8090", None),
        ("https://box.example", None),
        ("https://BOX.example", None),
        ("https://localhost:8090", 403),
        ("http://localhost:3000", 403),
        ("http://127.0.0.1:8090", 403),
        ("http://evil.example", 403),
        ("null", 403),
    ],
)
def test_only_our_own_page_may_open_a_socket(origin: str, code: int | None) -> None:
    """A request with an origin must come from the page itself, or from where the user said."""
    access = Access(None, origins=("https://box.example/",))
    assert status(access, host="localhost:8090", origin=origin, path="/live") == code


def test_other_sites_may_link_but_not_embed() -> None:
    """Following a link from elsewhere is fine; loading a picture into another page is not."""
    access = Access(None)
    assert status(access, fetch_site="cross-site", fetch_mode="navigate") is None
    assert status(access, fetch_site="cross-site", fetch_mode="no-cors") == 403
    assert status(access, fetch_site="same-site", fetch_mode="no-cors") == 403
    assert status(access, fetch_site="same-origin", fetch_mode="no-cors") is None


def test_the_token_opens_as_bearer_and_as_cookie() -> None:
    """Everything but the style of the page and the probes needs the token, in either form."""
    access = Access(TOKEN)
    assert status(access) == 401
    assert status(access, path="/") == 401
    assert status(access, path="/static/style.css") is None
    assert status(access, path="/healthz") is None
    assert status(access, authorization=f"Bearer {TOKEN}") is None
    assert status(access, authorization=f"bearer {TOKEN}") is None
    assert status(access, authorization=f"Basic {TOKEN}") == 401
    assert status(access, cookie=access.cookie) is None
    assert status(access, cookie=TOKEN) == 401
    assert status(access, cookie="\xff") == 401
    assert TOKEN not in access.cookie


def test_a_cookie_lives_as_long_as_its_token() -> None:
    """A restart of the server keeps who is logged in; a new token does not."""
    assert Access(TOKEN).cookie == Access(TOKEN).cookie
    assert status(Access("another-long-token!"), cookie=Access(TOKEN).cookie) == 401


def test_guessing_is_slowed_down() -> None:
    """After five wrong tokens an address waits, even with the right one; others do not; time forgives."""
    access = Access(TOKEN)
    for _ in range(5):
        refusal = access.login("wrong", "10.0.0.1", 0)
        assert refusal is not None
        assert refusal.status == 401
    refusal = access.login(TOKEN, "10.0.0.1", 0)
    assert refusal is not None
    assert (refusal.status, "in 12 s" in refusal.words) == (429, True)
    assert status(access, authorization=f"Bearer {TOKEN}", peer="10.0.0.1") == 429
    assert status(access, cookie=access.cookie, peer="10.0.0.1") is None
    assert access.login(TOKEN, "10.0.0.2", 0) is None
    assert access.login(TOKEN, "10.0.0.1", 13 * NS_PER_S) is None


def test_the_memory_of_wrong_tokens_is_bounded() -> None:
    """However many addresses guess, only so many are remembered, the newest."""
    attempts = Attempts(most=1, peers=10)
    for number in range(1000):
        attempts.failed(str(number), 0)
    assert attempts.wait_ns("999", 0) > 0
    assert attempts.wait_ns("0", 0) == 0
    assert len(attempts._paid_until_ns) == 10


def test_a_token_is_asked_for_over_real_sockets(serve, live) -> None:
    """Without the token: the login page and refusals. With it: everything, on the WebSocket as well."""
    viewer = serve(token=TOKEN)
    with httpx.Client(base_url=viewer.url) as stranger:
        page = stranger.get("/")
        assert (page.status_code, "<form" in page.text) == (401, True)
        assert page.headers["www-authenticate"] == "Bearer"
        assert stranger.get("/status.json").status_code == 401
        assert stranger.get("/api/recordings").status_code == 401
        assert stranger.get("/nowhere").status_code == 401
    with pytest.raises(InvalidStatus) as caught:
        live(viewer)
    assert caught.value.response.status_code == 401
    with httpx.Client(base_url=viewer.url, follow_redirects=True) as client:
        wrong = client.post("/login", data={"token": "wrong"})
        assert (wrong.status_code, "<form" in wrong.text) == (401, True)
        page = client.post("/login", data={"token": TOKEN})
        assert (page.status_code, page.url.path) == (200, "/")
        cookie = page.history[0].headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/status.json").status_code == 200
        again = client.get("/login")
        assert (again.status_code, again.url.path, again.history[0].status_code) == (200, "/", 303)
        name, value = next(iter(client.cookies.items()))
    live(viewer, additional_headers={"Cookie": f"{name}={value}"}).news()
    live(viewer, additional_headers={"Authorization": f"Bearer {TOKEN}"}).news()
    assert httpx.get(f"{viewer.url}status.json", headers={"Authorization": f"Bearer {TOKEN}"}).is_success


def test_login_takes_small_forms_only(serve) -> None:
    """What is no form with a token, or is large, is refused; many wrong ones are slowed down."""
    viewer = serve(token=TOKEN)
    with httpx.Client(base_url=viewer.url) as client:
        assert client.get("/login").status_code == 200
        for body in (b"", b"token", b"other=1", b"\xff=1", b"token=" + b"x" * 100_000):
            assert client.post("/login", content=body).status_code == 400
        codes = [client.post("/login", data={"token": "wrong"}).status_code for _ in range(7)]
        assert codes == [401] * 5 + [429] * 2


def test_foreign_names_and_pages_are_refused_over_real_sockets(viewer, live) -> None:
    """The Host and Origin headers that a browser sends decide, for requests and for the WebSocket."""
    for path in ("healthz", "status.json", "static/style.css"):
        reply = httpx.get(f"{viewer.url}{path}", headers={"Host": "evil.example"})
        assert (reply.status_code, reply.headers["x-content-type-options"]) == (400, "nosniff")
    with pytest.raises(InvalidStatus) as caught:
        live(viewer, origin="http://evil.example")
    assert caught.value.response.status_code == 403
    live(viewer, origin=viewer.url.rstrip("/")).news()


def test_all_of_a_network_needs_the_token(serve) -> None:
    """On all addresses the viewer answers to any of them, with the token only."""
    viewer = serve(host="0.0.0.0", token=TOKEN)  # noqa: S104 - this is what is tested
    assert viewer.url.startswith("http://127.0.0.1:")
    bearer = {"Authorization": f"Bearer {TOKEN}", "Host": f"192.168.7.7:{viewer.port}"}
    assert httpx.get(f"{viewer.url}status.json").status_code == 401
    assert httpx.get(f"{viewer.url}status.json", headers=bearer).status_code == 200
    assert (
        httpx.get(f"{viewer.url}status.json", headers={**bearer, "Host": "evil.example"}).status_code == 400
    )
