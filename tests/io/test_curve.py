"""The keys of capture nodes and fusing machines."""

import stat
from pathlib import Path

import pytest

from streamfuse.errors import OutputError, UsageError
from streamfuse.io.transport.curve import load_client_keys, load_server_keys, make_keys


def test_a_pair_of_keys_is_made_once_and_the_secret_is_private(tmp_path: Path) -> None:
    """The secret key is for its owner alone from its first moment; neither file is ever overwritten."""
    key, pub = make_keys("node", tmp_path / "keys")
    assert (key.name, pub.name) == ("node.key", "node.pub")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes(), pub.read_bytes()
    with pytest.raises(OutputError, match=r"node\.key: is there already, and keys are never overwritten"):
        make_keys("node", tmp_path / "keys")
    assert (key.read_bytes(), pub.read_bytes()) == before
    key.unlink()
    with pytest.raises(OutputError, match=r"node\.pub: is there already"):
        make_keys("node", tmp_path / "keys")
    assert not key.exists()


def test_two_pairs_differ_and_a_secret_is_not_shown(tmp_path: Path) -> None:
    """What is printed of loaded keys holds nothing secret."""
    make_keys("one", tmp_path)
    make_keys("two", tmp_path)
    keys = load_client_keys(tmp_path / "one.key", tmp_path / "two.pub")
    assert keys.secret not in {
        keys.server,
        load_client_keys(tmp_path / "two.key", tmp_path / "two.pub").secret,
    }
    assert keys.secret.decode() not in repr(keys)


def test_a_folder_of_public_keys_allows_all_of_them(tmp_path: Path) -> None:
    """A new machine is let in by copying its key there."""
    for name in ("node", "one", "two"):
        make_keys(name, tmp_path / ("." if name == "node" else "allowed"))
    keys = load_server_keys(tmp_path / "node.key", [tmp_path / "allowed"])
    assert sorted(keys.allowed.values()) == ["one", "two"]
    with pytest.raises(UsageError, match="nobody is allowed to connect"):
        load_server_keys(tmp_path / "node.key", [])


def test_a_key_that_cannot_be_used_is_named_with_its_remedy(tmp_path: Path) -> None:
    """Missing, readable by others, swapped, cut or nonsense."""
    key, pub = make_keys("host", tmp_path)
    with pytest.raises(
        UsageError, match=r"absent\.key: cannot read the secret key .* `streamfuse keys NAME`"
    ):
        load_client_keys(tmp_path / "absent.key", pub)
    with pytest.raises(UsageError, match=r"expected a public key, got a secret one"):
        load_client_keys(key, key)
    with pytest.raises(UsageError, match=r"expected a secret key, got a public one"):
        load_client_keys(pub, pub)
    key.chmod(0o640)
    with pytest.raises(UsageError, match=r"others can read \(mode 0640, expected 0600\): `chmod 600 "):
        load_client_keys(key, pub)
    key.chmod(0o600)
    for text in (
        b"",
        b"nonsense",
        pub.read_bytes()[:-5],
        b"streamfuse-curve-public " + b"~" * 40,
        b"\xff" * 2000,
    ):
        pub.write_bytes(text)
        with pytest.raises(UsageError, match=r"host\.pub: expected one line"):
            load_client_keys(key, pub)
